"""What a peer sent, made into values, or a precise word on why not.

JSON is read strictly: one value for one name, finite numbers, bounded depth, and text that any
store can keep (no NUL, no half of a surrogate pair). Then msgspec checks it against a struct:
whole numbers are ints, and an unknown name is refused, since it is more often a slip than a wish.
"""

import json
import re
from math import isinf
from typing import Any, Final, NoReturn, TypeVar
from urllib.parse import parse_qsl

import msgspec

from app.domain.errors import Code, Refusal
from app.http.message import JSON, RefusedError, Request
from app.limits import BODY_DEPTH_MAX

T = TypeVar("T")

# A JSON string, or one of the brackets outside of strings. A string that never ends takes all the
# rest: were it no match, each quote in it would be tried again, and time would grow as its square.
_STRING_OR_BRACKET: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
# More names than any resource takes: the parser gives up instead of splitting on and on.
_QUERY_FIELDS_MAX: Final = 16


def decode_body(request: Request, kind: type[T]) -> T:
    """The request's JSON body as a `kind`.

    Raises:
        RefusedError: unsupported_media_type, or invalid_request with what is wrong and where.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise RefusedError(Refusal(Code.UNSUPPORTED_MEDIA_TYPE))
    return decode_json(request.body, kind)


def decode_json(body: bytes, kind: type[T]) -> T:
    """These bytes of JSON as a `kind`.

    Raises:
        RefusedError: invalid_request with what is wrong and where.
    """
    return _convert(_parse_json(body), kind, strict=True)


def decode_query(request: Request, kind: type[T]) -> T:
    """The request's query parameters as a `kind`; numbers come as digits.

    Raises:
        RefusedError: invalid_request with what is wrong and where.
    """
    try:
        pairs = parse_qsl(
            request.query,
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_QUERY_FIELDS_MAX,
        )
    except ValueError:
        _refuse("The query is not percent-encoded UTF-8, or has too many parameters.")
    return _convert(_unique(pairs), kind, strict=False)


def _parse_json(body: bytes) -> Any:
    _check_depth(body)
    try:
        return json.loads(
            body.decode(),
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except UnicodeDecodeError:
        _refuse("The body is not UTF-8.")
    except json.JSONDecodeError as error:
        _refuse(f"The body is not JSON: {error.msg} at character {error.pos}.")
    except ValueError:
        # An integer of thousands of digits.
        _refuse("The body has a number that is too long.")


def _check_depth(body: bytes) -> None:
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(body):
        token = match[0]
        if token in b"[{":
            depth += 1
        elif token in b"]}":
            depth -= 1
        if depth > BODY_DEPTH_MAX:
            _refuse(f"The body nests deeper than {BODY_DEPTH_MAX}.")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            _refuse(f"`{_shown(name)}` is given twice.")
        if _is_unstorable(name) or _is_unstorable(value):
            _refuse(f"`{_shown(name)}` holds a character that is not text.")
        found[name] = value
    return found


def _is_unstorable(value: object) -> bool:
    """Whether text, or any text in a list, is none; objects within were looked at before."""
    if isinstance(value, str):
        return _UNSTORABLE.search(value) is not None
    return isinstance(value, list) and any(map(_is_unstorable, value))


def _finite(text: str) -> float:
    number = float(text)
    if isinf(number):
        _refuse(f"{_shown(text)} is beyond all numbers.")
    return number


def _convert(value: Any, kind: type[T], *, strict: bool) -> T:
    try:
        return msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError as error:
        _refuse(f"{_shown(str(error))}.")


def _refuse_constant(name: str) -> NoReturn:
    _refuse(f"{name} is not a JSON number.")


def _refuse(detail: str) -> NoReturn:
    raise RefusedError(Refusal(Code.INVALID_REQUEST, detail)) from None


def _shown(text: str) -> str:
    """The peer's own words, made safe to send back: short, printable, and text."""
    plain = text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
    return plain[:200]
