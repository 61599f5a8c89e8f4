"""What a refusal of an endpoint means: of the call, of the form, of the key, for now. One table. Pure.

The words are those of providers' documentation and of their users' reports; each row of
tests/teachers/test_faults.py says whose.
"""

import re
from enum import Enum


class Fault(Enum):
    """What is wrong, and so what helps."""

    MODERATED = "this call is withheld, whatever is tried"
    UNREADABLE = "the answer to this call was not in the form asked for"
    CUT = "thoughts have taken all tokens that the answer may have"
    KEY = "the key is refused"
    QUOTA = "there is no credit left"
    MODEL = "the model is not there"
    RATE = "too many requests for now"
    OVERLOAD = "the endpoint is too busy, or away"
    PASSING = "it may pass"
    TOO_LONG = "prompt and answer do not fit"
    FORM = "the request has a form that the endpoint does not know"


_MODERATED = re.compile(
    r"content.?(filter|policy|management)|moderat|flagged|usage.?polic|safety.(system|filter|reason|check)"
    r"|responsible.?ai|inappropriate|prohibited.(content|use)|data_inspection|content exists risk|harmful"
    r"|sensitive.(content|information|words)",
    re.IGNORECASE,
)
_QUOTA = re.compile(
    r"insufficient.?(quota|balance|credit|funds)|billing|credit balance|access.terminated|out of credits"
    r"|quota.{0,20}(exhausted|used up)|payment required|arrearage",
    re.IGNORECASE,
)
_KEY = re.compile(
    r"(invalid|incorrect|missing|expired).(api.?key|token|credential)"
    r"|api.?key.{0,12}(not valid|invalid|expired|missing|not found)|unauthenticated|unauthorized",
    re.IGNORECASE,
)
_MODEL = re.compile(
    r"model.?not.?found|model.{0,80}(does not exist|not found|is not supported|not available)"
    r"|(unknown|invalid|no such).?model|not a valid model|deployment.?not.?found|try pulling",
    re.IGNORECASE,
)
_UNKNOWN = re.compile(
    r"unsupported.?(parameter|value|param)|unrecognized|extra (inputs|fields)|unexpected keyword"
    r"|unknown (field|name)|use 'max_completion_tokens'|response.format|json_schema",
    re.IGNORECASE,
)
_TOO_LONG = re.compile(
    r"context.?(length|window|size|limit)|maximum context|max_model_len|too (large|long|many tokens)"
    r"|reduce the length|maximum.{0,20}(output|completion|new).tokens|max_tokens.{0,60}(at most|less than"
    r"|maximum|valid range|exceed| > )|tokens.{0,40}must be <=|at most \d+ (completion )?tokens",
    re.IGNORECASE,
)
_UNREADABLE = re.compile(r"json_validate_failed|failed_generation|failed to generate json", re.IGNORECASE)
_CUT = re.compile(r"could not finish the message because max_tokens", re.IGNORECASE)
_TEMPLATE = re.compile(r"jinja|chat.?template|system role|roles must alternate", re.IGNORECASE)
_RATE = re.compile(r"rate.?limit|too many requests|throttl", re.IGNORECASE)
_BUSY = (408, 425, 498, 503, 529)  # 498: Groq's, for its flex capacity; 529: Anthropic's


def fault_of(status: int, code: str, message: str) -> Fault:
    """The meaning of an error. `code`: the error's own, empty without one."""
    text = f"{code} {message}"
    if status == 401:
        return Fault.KEY
    if status == 402:
        return Fault.QUOTA
    if status == 451 or (status not in (404, 429) and _MODERATED.search(text)):
        return Fault.MODERATED
    if status in (400, 403, 429) and _QUOTA.search(text):
        return Fault.QUOTA
    if status == 429:
        return Fault.RATE
    if status == 403:
        return Fault.RATE if _RATE.search(text) else Fault.KEY
    if status == 404:
        return Fault.MODEL
    if status in (400, 413, 422) or (status == 500 and _TEMPLATE.search(text)):
        return _refused(text)
    return Fault.OVERLOAD if status in _BUSY else Fault.PASSING


def _refused(text: str) -> Fault:
    """The meaning of a 400 and of its like."""
    if _UNREADABLE.search(text):
        return Fault.UNREADABLE
    if _CUT.search(text):
        return Fault.CUT
    if _UNKNOWN.search(text):
        return Fault.FORM
    if _TOO_LONG.search(text):
        return Fault.TOO_LONG
    if _KEY.search(text):
        return Fault.KEY
    return Fault.MODEL if _MODEL.search(text) else Fault.FORM
