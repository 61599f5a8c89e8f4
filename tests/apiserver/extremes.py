"""Specs at their bounds and one beyond, drawn from the CustomResourceDefinition's own schema."""

import copy
import re
from functools import cache

import hypothesis.strategies as st
from requests_for_tests import LEAST

from tunesmith.crd import schema_of
from tunesmith.request import Spec

SCHEMA = schema_of(Spec)
FREE = "x-kubernetes-preserve-unknown-fields"
HEADERS = (
    ["X-Team", "HTTP-Referer", "a", "9", "X_a.b$", "h" * 120],
    ["", "a b", "a:b", "-a", "ü", "a\n", "h" * 129, "Host", "content-length", "Proxy-Authorization"],
)
KEYS = {  # map -> keys, and keys that the API server or the Job would refuse
    "env": (
        ["A", "_", "A.b-c", "LOG", "A" * 240],
        ["1A", "A=B", "", "a b", "ü", "A\n", "..", "-a", "A" * 241],
    ),
    "nodeSelector": (
        ["pool", "kubernetes.io/arch", "a_b.c-D", "a" * 63, "d." * 88 + "d/" + "n" * 63, "d" * 238 + "/n"],
        ["a/b/c", "A/b", "/a", "a/", "-a", ".", "", "a..b/c", "a-./c", "a" * 64, "d" * 239 + "/n"],
    ),
    "headers": HEADERS,
    "secretHeaders": HEADERS,
    "query": (["api-version", "$top", "a", "q" * 120], ["", "a b", "a&b", "key", "sig", "q" * 129]),
    "secretQuery": (["sig", "key", "q" * 120], ["", "a b", "a&b", "q" * 129]),
    "prices": (["gpt-6.1-sol", "our/*", "*", "ü", "m" * 240], ["", "m" * 254]),
    "resources": (
        [
            *("example.com/nic", "cpu", "memory", "ephemeral-storage", "hugepages-2Mi", "hugepages-1Gi"),
            *("nvidia.com/gpu", "nvidia.com/mig-1g.5gb", "kubernetes.io/x", "amd.com/gpu"),
            *("example.com/" + "g" * 63, "d" * 238 + "/a"),
        ],
        [
            *("gpu", "storage", "pods", "requests.cpu", "requests.nvidia.com/gpu", "", "Cpu", "a/b/c"),
            *("hugepages-0Gi", "hugepages-x", "example.com/" + "g" * 64, "d" * 239 + "/a"),
        ],
    ),
}
AMOUNTS = [
    *(
        "0",
        "1",
        "2",
        "1.0",
        "1.5",
        "0.0001",
        "1m",
        "500m",
        "2000m",
        "00012",
        "1.5Gi",
        "1.0001k",
        "3Mi",
        "4Mi",
    ),
    *(
        "16Gi",
        "1024",
        "1025",
        "4096",
        "4097",
        "2147483647",
        "2147483648",
        "1P",
        "1Pi",
        "999999P",
        "1k",
        "1Ki",
    ),
    *("9" * 32, "9" * 31 + "P", "0." + "0" * 29 + "1", "9" * 20, "1e3", "", "-1", "lots", "1Gi\n"),
]
TAINTS = [
    "",
    "spot",
    "nvidia.com/gpu",
    "a/b/c",
    "a..b/c",
    "d" * 251 + "/n",
    "d" * 190 + "/" + "n" * 62,
    "n" * 63,
    "n" * 64,
]
ODD = [
    "",
    "a",
    "A-1",
    "a/b",
    "a.b",
    "a..b",
    "a.-b",
    "-a",
    ".",
    "..",
    "a\n",
    "a b",
    "\x00",
    "ü🎏",
    "a{10000}",
    "(",
    "1e3",
]


def leaves(schema=SCHEMA, path=()):
    """Every field of the spec that holds a value, a list or a map, with its schema."""
    for name, field in schema.get("properties", {}).items():
        here = (*path, name)
        if "properties" in field:
            yield from leaves(field, here)
        else:
            yield here, field


LEAVES = list(leaves())


class Values:
    """Values of a schema: at its bounds and between them, and, if `beyond`, also just beyond them."""

    def __init__(self, *, beyond):
        self.beyond = beyond

    def of(self, schema, name=""):
        if FREE in schema:
            return st.sampled_from([{}, {"type": "object"}, nested(50), *[nested(100)] * self.beyond])
        if "properties" in schema:  # an item of a list
            fields = {key: self.of(field, key) for key, field in schema["properties"].items()}
            required = {key: fields.pop(key) for key in schema.get("required", ())}
            return st.fixed_dictionaries(required, optional=fields)
        match schema["type"]:
            case "array":
                return self.lists(schema, name)
            case "object":
                return self.maps(schema, name)
            case "boolean":
                return st.booleans()
            case "string":
                return self.texts(schema, name)
            case _:
                return self.numbers(schema)

    def texts(self, schema, name):
        if "enum" in schema:
            return st.sampled_from(schema["enum"] + ["none"] * self.beyond)
        most, pattern = schema["maxLength"], schema.get("pattern", "")
        drawn = {"key": TAINTS, "limits": AMOUNTS, "requests": AMOUNTS}.get(name, ODD + longest(most))
        good = [text for text in drawn if len(text) <= most and re.search(pattern, text)]
        choices = st.sampled_from(drawn if self.beyond else good)
        return (
            choices | st.from_regex(pattern, fullmatch=True).map(lambda found: found[:most])
            if pattern
            else choices
        )

    def numbers(self, schema):
        low, high = inside(schema, "minimum"), inside(schema, "maximum")
        whole = schema["type"] == "integer"
        step = 1 if whole else 1e-6
        over = [schema["minimum"] - step, schema["maximum"] + step, 10**30, -(10**30)]
        between = st.integers(low, high) if whole else st.floats(low, high)
        return st.sampled_from([low, high, *over * self.beyond]) | between

    def lists(self, schema, name):
        items = self.of(schema["items"], name)
        most = schema["maxItems"]
        repeated = st.sampled_from([most] + [most + 1] * self.beyond)
        return st.lists(items, max_size=2) | st.builds(lambda item, times: [item] * times, items, repeated)

    def maps(self, schema, name):
        member = self.of(schema["additionalProperties"], name)
        good, bad = KEYS["resources" if name in ("limits", "requests") else name]
        most = schema["maxProperties"] + self.beyond
        many = member.map(lambda value: {f"{good[0]}{number}": value for number in range(most)})
        keys = st.sampled_from(good + bad * self.beyond)
        return st.dictionaries(keys, member, max_size=3) | many


def longest(most):
    """Texts of a length, and one that is too long by one."""
    begun = [begin + "k" * (most - len(begin)) for begin in ("s3://b/", "https://h/", "hf://o/", "(" * 100)]
    texts = ["a" * most, "9" * most, "🎏" * most, "\x00" * most, "a." * (most // 2) + "a", *begun]
    return [text for text in texts if len(text) <= most] + ["a" * (most + 1)]


def nested(depth):
    value = 1
    for _ in range(depth):
        value = {"a": value}
    return value


@cache
def fields(*, beyond):
    """Every field with its values."""
    return [(path, Values(beyond=beyond).of(schema, path[-1])) for path, schema in LEAVES]


@st.composite
def specs(draw):
    """The least spec, with some of its fields set."""
    spec = copy.deepcopy(LEAST["spec"])
    drawn = fields(beyond=draw(st.sampled_from([False, False, False, True])))
    for path, choices in draw(
        st.lists(st.sampled_from(drawn), min_size=1, max_size=5, unique_by=lambda field: field[0])
    ):
        put(spec, path, draw(choices))
    return spec


def put(spec, path, value):
    for step in path[:-1]:
        spec = spec.setdefault(step, {})
    spec[path[-1]] = value


def at_once(end):
    """A spec in which every number is at one end of its range, and what else can be is at its longest."""
    spec = copy.deepcopy(LEAST["spec"])
    for path, schema in LEAVES:
        if path[-1] in EXTREME:
            put(spec, path, EXTREME[path[-1]])
        elif schema.get("type") in ("integer", "number"):
            put(spec, path, inside(schema, end))
        elif schema.get("type") == "string" and "enum" not in schema and "pattern" not in schema:
            put(spec, path, "ü" * min(schema["maxLength"], 2_000))
    return spec


def inside(schema, end):
    """The number at an end, or next to it where the end is not in it."""
    outside = schema.get("exclusiveMinimum" if end == "minimum" else "exclusiveMaximum")
    step = 1e-9 if end == "minimum" else -1e-9
    return schema[end] + (step if outside else 0)


EXTREME = {  # what must fit other fields, or has a pattern
    "topics": ["ü" * 1000, "ä" * 1000],
    "validation": 0.05,
    "test": 0.9,
    "env": {f"{'A' * 237}{n:03}": "🎏" * 100 for n in range(100)},
    "headers": {f"X-{'h' * 120}{n:02}": "v " * 50 + "v" for n in range(16)},
    "query": {f"{'q' * 120}{n:02}": "ü" * 100 for n in range(16)},
    "body": {f"{'b' * 120}{n:02}": [[[[[["x " * 20]]]]]] for n in range(32)},
    "prices": {
        f"{'m' * 100}{n:02}": {"usdPerMillionInputTokens": 1e9, "usdPerMillionOutputTokens": 1e9}
        for n in range(64)
    },
    "nodeSelector": {f"{'d' * 180}/{'n' * 56}{n:02}": "v" * 63 for n in range(32)},
    "requests": {"cpu": "4096", "memory": "1P", "ephemeral-storage": "1P"},
    "limits": {
        "cpu": "4096",
        "memory": "1P",
        "hugepages-2Mi": "2Gi",
        "nvidia.com/gpu": "1024",
        "e.com/x": "2147483647",
    },
    "tolerations": [
        {
            "key": "d" * 189 + "/" + "n" * 63,
            "value": "v" * 63,
            "effect": "NoExecute",
            "tolerationSeconds": 315_360_000,
        }
    ]
    * 32,
    "priorityClassName": "a." * 126 + "a",
    "profile": "p" * 63,
    "queueName": "q" * 63,
    "run": "r" * 63,
    "uri": "s3://" + "b" * 2043,
    "output": "s3://" + "b" * 2043,
    "sha256": "0" * 64,
    "base": "hf://o/" + "b" * 2041,
    "loraTargetModules": ["m" * 253] * 256,
    "seeds": ["s" * 100] * 100,
    "regex": "(" * 100 + ")" * 100 + "a" * 800,
}
