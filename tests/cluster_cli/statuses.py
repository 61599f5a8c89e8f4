"""Pieces of a status as the controller writes them."""

NOW = "2026-01-02T03:04:05Z"
KEYS = {"generate": "1" * 16, "train": "2" * 16, "merge": "3" * 16, "evaluate": "4" * 16}


def condition(kind, status="True", reason="Done", message=""):
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": NOW,
        "observedGeneration": 1,
    }


def row(name, phase="Succeeded", **more):
    return {"name": name, "key": KEYS[name], "phase": phase} | more
