"""Requests for tests: the least one, and one with changes laid over it."""

import copy

LEAST = {
    "apiVersion": "tunesmith.dev/v1alpha1",
    "kind": "TrainingRequest",
    "metadata": {"name": "riddles"},
    "spec": {
        "task": "answer riddles",
        "model": {"base": "hf://org/model@0123456789abcdef0123456789abcdef01234567"},
    },
}


def document(changes=None, **metadata):
    """LEAST with `changes` ({"training.loraR": 8}) in its spec; a value of ... removes the field."""
    result = copy.deepcopy(LEAST)
    result["metadata"].update(metadata)
    for path, value in (changes or {}).items():
        part = result["spec"]
        *parents, last = path.split(".")
        for step in parents:
            part = part.setdefault(step, {})
        if value is ...:
            del part[last]
        else:
            part[last] = value
    return result
