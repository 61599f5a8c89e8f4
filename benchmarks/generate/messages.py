"""Messages to a support desk, their near-copies and their paraphrases, drawn by a seed. Pure.

A message is four to six sentences, each of one kind with things put into it. Each kind has two wordings that
say the same; a paraphrase uses the other one throughout, puts sentences in another order and swaps synonyms.
A near-copy changes a few words. Messages of the same kinds about other things are what must be told apart.
"""

import random


def _listed(text: str) -> list[str]:
    return text.split(", ")


THINGS = _listed(
    "lamp, kettle, toaster, laptop, printer, router, vacuum, bicycle, heater, camera, speaker, "
    "blender, freezer, monitor, scooter, keyboard, tent, backpack, jacket, mattress, sofa, desk, "
    "chair, mirror, oven, dishwasher, charger, headset, drone, projector, tablet, phone, watch, "
    "thermostat, doorbell, shaver, mixer, grill, fan, drill, saw, ladder, mower, pump, hose, helmet, "
    "stroller, crib, piano, guitar, violin, drum, easel, microscope, telescope, globe, clock, radio, "
    "scanner, shredder, stapler, safe"
)
PLACES = _listed(
    "Leeds, Porto, Graz, Lyon, Utrecht, Bergen, Tampere, Gdansk, Brno, Split, Varna, Cluj, Patras, "
    "Bari, Murcia, Braga, Aarhus, Lund, Turku, Tartu, Kaunas, Ghent, Basel, Linz, Ulm, Kiel, Metz, "
    "Nantes, Cork, Derby"
)
PARTS = _listed(
    "handle, cable, hinge, screen, battery, wheel, button, lid, filter, strap, zip, motor, switch, "
    "plug, belt, lens, knob, fuse, shelf, pedal, antenna, fan, cushion, bolt, hose, blade, tray, "
    "sensor, display, latch"
)
PEOPLE = _listed(
    "my sister, my neighbour, a colleague, my father, our trainee, the caretaker, my flatmate, a "
    "friend, our accountant"
)
DAYS = _listed("Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday")
NOISES = _listed(
    "a loud hum, a burnt smell, thick smoke, a green flicker, a high whistle, a small spark, a dull knock"
)
PLANS = _listed(
    "a wedding, an exam, a long trip, a move, a trade fair, a birthday, a concert, a school play, an audit"
)
COLOURS = _listed("red, black, white, green, blue, grey, yellow, brown, orange, silver")

# What stands between braces is drawn; the two wordings of a kind have the same.
KINDS: tuple[tuple[str, str], ...] = (
    (
        "I bought a {colour} {thing} in your shop in {place} last {day}.",
        "Last {day} your {place} store sold me a {thing} in {colour}.",
    ),
    (
        "The {thing} that I ordered on {day} has not arrived in {place} yet.",
        "My order of a {thing}, placed on {day}, has still not reached {place}.",
    ),
    (
        "The {part} of the {thing} broke when {person} used it for the first time.",
        "When {person} first used the {thing}, its {part} broke.",
    ),
    (
        "Whenever I switch it on, {noise} comes out of the {part}.",
        "There is {noise} from the {part} each time it is switched on.",
    ),
    (
        "You charged me {amount} euros twice for the {thing}.",
        "For the {thing} I was billed {amount} euros two times.",
    ),
    (
        "Please send the {amount} euros for the {thing} back to my account.",
        "Could you return to my account the {amount} euros I paid for the {thing}?",
    ),
    (
        "I would like to exchange the {colour} {thing} for a {thing2}.",
        "Can I swap the {thing} in {colour} for a {thing2}, please?",
    ),
    (
        "{Person} needs the {thing} for {plan} on {day}.",
        "The {thing} is needed by {person} on {day} for {plan}.",
    ),
    (
        "The parcel held a {thing2} in place of the {part} for my {thing}.",
        "Instead of the {part} for my {thing}, there was a {thing2} in the parcel.",
    ),
    (
        "Your technician in {place} promised a new {part} by {day}.",
        "A new {part} by {day} was promised by the technician you have in {place}.",
    ),
    (
        "I called order number {number} in, but the line in {place} was busy all {day}.",
        "All {day} the line in {place} was busy when I phoned about order number {number}.",
    ),
    (
        "Does the warranty of the {thing} cover the {part}, too?",
        "Is the {part} also covered by the warranty of the {thing}?",
    ),
    (
        "The manual of the {thing} does not say how to clean the {part}.",
        "How to clean the {part} is not explained in the manual of the {thing}.",
    ),
    (
        "{Person} dropped the {colour} {part} down the stairs in {place}.",
        "Down the stairs in {place} fell the {colour} {part} that {person} let drop.",
    ),
    (
        "I want to cancel the order of {amount2} {thing}s for {plan}.",
        "Please call off the order for {plan}: the {amount2} {thing}s are not wanted any more.",
    ),
    (
        "Can somebody come to {place} on {day} and repair the {part}?",
        "Could someone visit {place} on {day} to fix the {part}?",
    ),
    (
        "A spare {part} for the {thing} costs {amount} euros elsewhere.",
        "Elsewhere one pays {amount} euros for a replacement {part} that fits the {thing}.",
    ),
    (
        "Without the {thing} {plan} cannot take place.",
        "{Plan} will have to be put off if the {thing} is missing.",
    ),
)
SYNONYMS = {
    "bought": "purchased",
    "shop": "store",
    "broke": "snapped",
    "arrived": "come",
    "euros": "EUR",
    "repair": "mend",
    "fix": "mend",
    "manual": "instructions",
    "parcel": "package",
    "please": "kindly",
    "needs": "requires",
    "new": "brand-new",
    "clean": "wash",
    "technician": "engineer",
    "elsewhere": "in other shops",
    "exchange": "trade",
    "missing": "absent",
    "promised": "assured",
}
FILLERS = _listed("really, just, quite, also, still, indeed, today, again, simply, perhaps")


def message(draw: random.Random) -> tuple[str, str]:
    """A message, and its paraphrase."""
    kinds = draw.sample(KINDS, draw.randint(4, 6))
    first, second = [], []
    for kind in kinds:
        things = _things(draw)
        first.append(kind[0].format(**things))
        second.append(_synonyms(kind[1].format(**things)))
    turned = [*second[1:], second[0]]
    return " ".join(first), " ".join(turned)


def near_copy(text: str, changes: int, draw: random.Random) -> str:
    """The text with some words left out, put in, or replaced."""
    words = text.split()
    for at in draw.sample(range(len(words)), changes):
        filler = draw.choice(FILLERS)
        words[at] = draw.choice(("", f"{words[at]} {filler}", filler))
    return " ".join(word for word in words if word)


def _things(draw: random.Random) -> dict[str, str]:
    person, plan = draw.choice(PEOPLE), draw.choice(PLANS)
    return {
        "thing": draw.choice(THINGS),
        "thing2": draw.choice(THINGS),
        "place": draw.choice(PLACES),
        "part": draw.choice(PARTS),
        "person": person,
        "Person": person[0].upper() + person[1:],
        "day": draw.choice(DAYS),
        "noise": draw.choice(NOISES),
        "plan": plan,
        "Plan": plan[0].upper() + plan[1:],
        "colour": draw.choice(COLOURS),
        "amount": str(draw.randrange(5, 900)),
        "amount2": str(draw.randrange(2, 60)),
        "number": str(draw.randrange(10_000, 99_999)),
    }


def _synonyms(text: str) -> str:
    return " ".join(SYNONYMS.get(word, word) for word in text.split())
