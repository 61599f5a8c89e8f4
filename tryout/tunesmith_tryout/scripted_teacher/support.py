"""The grammar of the quickstart's task: a customer's message to support becomes compact JSON.

What a reader needs is in the text without ambiguity: the product by its name, the category by a symptom that
no other category has, the priority by one clear phrase. Everything else varies freely.
"""

import json
import random
from collections.abc import Mapping, Sequence

PRODUCTS = (
    "Aurora Lamp",
    "Nimbus Router",
    "Pixel Frame",
    "Tempo Watch",
    "Breeze Fan",
    "Echo Speaker",
    "Vista Camera",
    "Pulse Scale",
)

# A message has one of these, which settles its category. {product} stands for the name.
SYMPTOMS: Mapping[str, Sequence[str]] = {
    "billing": (
        "I was charged twice for the {product} on my credit card",
        "the invoice for the {product} shows a wrong amount",
        "my bank statement lists a payment for the {product} that I never approved",
        "the invoice for my {product} has the wrong tax on it",
        "you billed me for two of the {product} although I paid for one",
        "I still see a monthly charge for the {product} on my card",
        "the payment for the {product} was booked a second time",
    ),
    "shipping": (
        "the parcel with the {product} has not arrived",
        "the tracking page for the {product} has not moved for days",
        "the courier left the {product} at the wrong address",
        "my package was marked as delivered, but there is no {product} at my door",
        "the shipment of the {product} is late again",
        "the parcel with the {product} came back to your warehouse",
        "the delivery date of my {product} has been moved three times",
    ),
    "account": (
        "I cannot log in to the account that my {product} is linked to",
        "the password reset mail for my {product} account does not come",
        "my account was locked after I signed in on the {product}",
        "the login page for the {product} rejects my password",
        "I want to change the email address of my {product} account",
        "the sign-in code for the {product} account is always rejected",
        "I forgot the password for the account of our {product}",
    ),
    "bug": (
        "the {product} does not turn on any more",
        "the {product} makes a loud crackling noise",
        "the {product} gets so hot that it switches itself off",
        "the screen of the {product} flickers and then goes black",
        "the battery of the {product} is dead after an hour",
        "the {product} restarts by itself every few minutes",
        "the {product} stopped working in the middle of the day",
    ),
    "feature": (
        "please add a night mode to the {product}",
        "I would love to control the {product} by voice",
        "it would be great if the {product} could be used with two phones",
        "could you build a timer into the {product}",
        "please add a dark theme to the app of the {product}",
        "a widget for the {product} would be a nice addition",
        "my suggestion is that the {product} should also speak Italian",
    ),
}

# A message has one of these, which settles its priority.
URGENCY: Mapping[str, Sequence[str]] = {
    "high": (
        "This is urgent, please help today.",
        "I need an answer immediately.",
        "This is an emergency for our shop.",
        "Please treat this as urgent.",
        "We cannot work until this is solved, so please act at once.",
        "I need this solved today without fail.",
    ),
    "medium": (
        "Please get back to me this week.",
        "I would be glad about an answer in the next few days.",
        "Could you look into it this week?",
        "An answer within the next few days would be fine.",
        "Please let me know in the coming days what to do.",
        "A reply in the next few days is all I need.",
    ),
    "low": (
        "There is no rush at all.",
        "Whenever you have time is fine.",
        "It can wait, I am in no hurry.",
        "Take your time, it is not important.",
        "No hurry, just when you get around to it.",
        "Answer whenever it suits you, there is no rush.",
    ),
}

_OPENINGS = (
    "Hello,",
    "Hi there,",
    "Good morning,",
    "Good evening,",
    "Dear support team,",
    "Hi,",
    "Hey,",
    "To whom it may concern,",
    "Greetings,",
    "Hello support,",
    "Dear all,",
    "Good day,",
)
_WHO = (
    "I have been a customer for {number} years",
    "my daughter gave me your address",
    "I run a small bakery in {place}",
    "I am writing on behalf of my father in {place}",
    "we are a school in {place}",
    "I found your number on the box",
    "I moved to {place} in {month}",
    "I already wrote to you in {month}",
    "my neighbour in {place} recommended you",
    "our office in {place} has {number} of your devices",
    "I placed order {order} in {month}",
    "my order number is {order}",
    "I bought it in {place} in {month}",
    "this is about order {order} from {month}",
    "I am the new office manager in {place}",
    "we met at the fair in {place}",
)
_DETAILS = (
    "I checked it {number} times and asked my {relative} as well.",
    "My {relative} noticed it on {day}.",
    "It began on {day}, after lunch.",
    "I have added {number} photos to this message.",
    "The person on the phone in {place} could not help me on {day}.",
    "Order {order} is the one I mean.",
    "My {relative} in {place} has had the same experience.",
    "I read all {number} pages of the manual.",
    "I noticed it on {day} while my {relative} was visiting.",
    "On {day} I waited {number} minutes in your telephone queue.",
    "The shop in {place} sent me to you.",
    "You can reach me on {day} after {number} o'clock.",
    "My {relative} says I should simply ask you.",
    "The number on the back ends in {order}.",
    "Last {month} everything was as it should be.",
)
_CLOSINGS = (
    "Thank you, {name}",
    "Best regards, {name}",
    "Kind regards, {name} from {place}",
    "Thanks in advance, {name}",
    "Yours, {name}",
    "Many thanks, {name}",
    "Cheers, {name}",
    "Sincerely, {name}",
    "Greetings from {place}, {name}",
    "{name}",
)
_WORDS: Mapping[str, Sequence[str]] = {
    "place": (
        "Leeds",
        "Porto",
        "Graz",
        "Lyon",
        "Bergen",
        "Turin",
        "Ghent",
        "Cork",
        "Gdansk",
        "Malaga",
        "Basel",
        "Tartu",
        "Split",
        "Bath",
    ),
    "month": (
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ),
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "relative": (
        "brother",
        "sister",
        "colleague",
        "wife",
        "husband",
        "son",
        "flatmate",
        "uncle",
        "boss",
        "cousin",
        "aunt",
    ),
    "name": (
        "Ana",
        "Bram",
        "Carla",
        "David",
        "Elif",
        "Farid",
        "Greta",
        "Hugo",
        "Ines",
        "Jonas",
        "Kira",
        "Liam",
        "Mona",
        "Nils",
        "Olga",
    ),
}


def is_support(task: str) -> bool:
    """Whether a task is the quickstart's: it asks for category, priority and product of a support message."""
    words = task.casefold()
    return all(word in words for word in ("support", "category", "priority", "product"))


def pair(rng: random.Random, about: str) -> tuple[str, str]:
    """A message and its JSON. What `about` (the words of the call) names is used, the rest is drawn."""
    category = _named(rng, about, "Topic", tuple(SYMPTOMS))
    priority = _named(rng, about, "priority", tuple(URGENCY))
    product = _named(rng, about, "product", PRODUCTS)
    symptom = rng.choice(SYMPTOMS[category]).format(product=product)
    who = _filled(rng, rng.choice(_WHO))
    details = [_filled(rng, text) for text in rng.sample(_DETAILS, rng.choice((1, 1, 2)))]
    core = rng.choice(
        (
            f"{who}, and {symptom}.",
            f"{who}. Now {symptom}.",
            f"{_capital(symptom)}; {who}.",
            f"{_capital(symptom)}.",
        )
    )
    middle = [core, *details, rng.choice(URGENCY[priority])]
    if rng.random() < 0.4:
        middle[1:] = rng.sample(middle[1:], len(middle) - 1)
    text = " ".join((rng.choice(_OPENINGS), *middle, _filled(rng, rng.choice(_CLOSINGS))))
    answer = json.dumps(
        {"category": category, "priority": priority, "product": product}, separators=(",", ":")
    )
    return text, answer


def plan() -> dict[str, object]:
    """The plan of this task."""
    return {
        "language": "English",
        "prompts": "a message of 2 to 5 sentences from a customer of a maker of household devices "
        "to its support",
        "responses": "one line of compact JSON with the members category, priority, product in this order: "
        '{"category":"...",'
        '"priority":"...","product":"..."}',
        "topics": list(SYMPTOMS),
        "axes": [
            {"name": "priority", "values": list(URGENCY)},
            {"name": "product", "values": list(PRODUCTS)},
        ],
        "difficulties": ["plain", "with details beside the point", "with its parts in an unusual order"],
    }


SYSTEM_MESSAGE = (
    "Given a customer's message to support, you will answer with one line of JSON and nothing else: "
    '{"category":"...","priority":"...","product":"..."}, '
    "where category is one of billing, bug, account, shipping, feature, "
    "priority is one of low, medium, high, and product is the product's name as written in the message."
)


def _named(rng: random.Random, about: str, label: str, values: Sequence[str]) -> str:
    drawn = rng.choice(values)
    return next((value for value in values if f"{label}: {value}\n" in about), drawn)


def _filled(rng: random.Random, text: str) -> str:
    words = {name: rng.choice(values) for name, values in _WORDS.items()}
    return text.format(number=rng.randint(2, 12), order=rng.randint(10_000, 99_999), **words)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
