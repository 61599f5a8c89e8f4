"""Pairs for tasks that the script does not know: marked as scripted, distinct, in the words of the call."""

import random

_SUBJECTS = (
    "rivers",
    "bridges",
    "clocks",
    "gardens",
    "letters",
    "trains",
    "lanterns",
    "maps",
    "kitchens",
    "violins",
    "harbours",
    "coins",
)
_VERBS = (
    "describe",
    "compare",
    "count",
    "sort",
    "explain",
    "rename",
    "summarise",
    "check",
    "order",
    "weigh",
    "repair",
    "plan",
    "praise",
)
_MANNERS = (
    "briefly",
    "carefully",
    "twice",
    "slowly",
    "without numbers",
    "by size",
    "by age",
    "for children",
    "from memory",
    "as a list",
)
_PLACES = (
    "at night",
    "in winter",
    "near the sea",
    "on a hill",
    "after school",
    "before noon",
    "during a storm",
    "under a bridge",
)


def pair(rng: random.Random, about: str) -> tuple[str, str]:
    """A prompt and a response that say they come from a script."""
    topic = about.split("Topic: ", 1)[-1].split("\n", 1)[0][:60].strip() if "Topic: " in about else "anything"
    subjects = rng.sample(_SUBJECTS, 4)
    verbs = rng.sample(_VERBS, 3)
    manners = rng.sample(_MANNERS, 3)
    places = rng.sample(_PLACES, 3)
    number = rng.randint(100_000, 999_999)
    prompt = (
        f"(scripted {number}, {topic}) {verbs[0]} {subjects[0]} {manners[0]} {places[0]}, "
        f"{verbs[1]} {subjects[1]} {manners[1]} {places[1]}, "
        f"then {verbs[2]} {subjects[2]} and {subjects[3]} {manners[2]} {places[2]}"
    )
    return prompt, f"(scripted) {subjects[3]}, {subjects[2]}, {subjects[1]}, {subjects[0]}: {number % 97}"


def plan() -> dict[str, object]:
    """A plan that fits any task, if badly."""
    return {
        "language": "English",
        "prompts": "a scripted line of words",
        "responses": "a scripted line that begins with (scripted)",
        "topics": [f"scripted topic {name}" for name in _SUBJECTS],
        "axes": [
            {"name": "length", "values": ["short", "middle", "long"]},
            {"name": "tone", "values": ["plain", "polite", "terse", "formal"]},
        ],
        "difficulties": ["easy", "middling", "hard"],
    }


SYSTEM_MESSAGE = (
    "Given a scripted line of words, you will answer with a scripted line that begins with (scripted)."
)
