"""Many things in one body, a JSON array or NDJSON, each read by itself: a bad one spoils no other.

A body is first cut into pieces, which only finds where each begins and ends; then each piece is
decoded and checked. Both are bounded: by the body's size, the number of pieces, the size of each.
"""

import re
from collections.abc import Iterator
from typing import Final, Generic, NoReturn, TypeVar

import msgspec
import trio

from app.domain.errors import Code, Refusal
from app.http.decode import decode_json
from app.http.message import JSON, NDJSON, RefusedError, Request
from app.limits import BODY_BYTES_MAX, BODY_DEPTH_MAX, ITEMS_A_TURN, ITEMS_BYTES_A_TURN, ITEMS_MAX

T = TypeVar("T", bound=msgspec.Struct)

_SPACE: Final = re.compile(rb"[ \t\r\n]*+")


def _value(depth: int) -> bytes:
    """What a value of at most this depth looks like from afar. Its decoder will look closely."""
    string = rb'"(?:[^"\\]|\\.)*+"'
    inside = rb'(?:[^"\[\]{}]++|' + string + rb")*+"
    for _ in range(depth - 1):
        inside = rb'(?:[^"\[\]{}]++|' + string + rb"|[\[{]" + inside + rb"[\]}])*+"
    return rb"[\[{]" + inside + rb"[\]}]|" + string + rb"|[^\s,\[\]{}\"]++"


_VALUE: Final = re.compile(_value(BODY_DEPTH_MAX), re.DOTALL)
_TOO_LARGE: Final = Refusal(
    Code.TOO_LARGE, f"One of several may have {BODY_BYTES_MAX} bytes, and this has more."
)
_ANY_VALUE: Final = f"a value of {BODY_BYTES_MAX} bytes and {BODY_DEPTH_MAX} levels at most"
_TOO_MANY: Final = Refusal(Code.TOO_LARGE, f"One body takes {ITEMS_MAX:,} postings at most.")


def media_of(request: Request) -> str:
    """The body's content type, without parameters.

    Raises:
        RefusedError: unsupported_media_type where it is neither JSON nor NDJSON.
    """
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in {JSON, NDJSON}:
        raise RefusedError(
            Refusal(Code.UNSUPPORTED_MEDIA_TYPE, f"Send {JSON}, or {NDJSON} for many.")
        )
    return media


def has_many(request: Request) -> bool:
    """Whether the body is an array, or lines, and not one thing."""
    start = _SPACE.match(request.body)
    array = start is not None and request.body.startswith(b"[", start.end())
    return media_of(request) == NDJSON or array


def pieces(request: Request) -> Iterator[bytes]:
    """The things in the body, in order, each still to be decoded.

    Raises:
        RefusedError: invalid_request where the body is no JSON array, too_large where it has more
            than `ITEMS_MAX`.
    """
    cut = _lines(request.body) if media_of(request) == NDJSON else _elements(request.body)
    for number, piece in enumerate(cut):
        if number == ITEMS_MAX:
            raise RefusedError(_TOO_MANY)
        yield piece


def _lines(body: bytes) -> Iterator[bytes]:
    """The lines. The last may have an end or none; an empty one is a line like any other."""
    begin = 0
    while begin < len(body):
        end = body.find(b"\n", begin)
        end = len(body) if end < 0 else end
        yield body[begin:end]
        begin = end + 1


def _elements(body: bytes) -> Iterator[bytes]:
    """The elements of a JSON array, as far as they can be told apart."""
    place = _skip(body, 0)
    if body[place : place + 1] != b"[":
        _refuse("a JSON array", place)
    place = _skip(body, place + 1)
    ended = body[place : place + 1] == b"]"
    while not ended:
        found = _VALUE.match(body, place, place + BODY_BYTES_MAX + 1)
        if found is None:
            _refuse(_ANY_VALUE, place)
        yield found[0]
        place = _skip(body, found.end())
        ended = body[place : place + 1] == b"]"
        if not ended and body[place : place + 1] != b",":
            _refuse("`,` or `]`", place)
        place = place if ended else _skip(body, place + 1)
    if _skip(body, place + 1) != len(body):
        _refuse("nothing more", place + 1)


def _skip(body: bytes, place: int) -> int:
    """The place of the next that is no white space."""
    match = _SPACE.match(body, place)
    assert match is not None, "no white space at all is a match, too"
    return match.end()


def _refuse(wanted: str, place: int) -> NoReturn:
    raise RefusedError(
        Refusal(Code.INVALID_REQUEST, f"The body is not JSON: expected {wanted} at byte {place}.")
    )


class ItemDecoder(Generic[T]):
    """Decodes pieces as strictly as a whole body is decoded, most of them a good deal faster.

    Args:
        kind: a struct that forbids unknown names and omits its defaults.
    """

    def __init__(self, kind: type[T]) -> None:
        config = kind.__struct_config__
        assert config.forbid_unknown_fields, f"{kind} takes unknown names"
        assert config.omit_defaults, f"names given twice are found in no {kind}"
        self._kind = kind
        self._decoder = msgspec.json.Decoder(kind)
        self._encode = msgspec.json.Encoder().encode

    def decode(self, piece: bytes) -> T | Refusal:
        """The piece as a `kind`, or too_large, or invalid_request with what is wrong and where."""
        if len(piece) > BODY_BYTES_MAX:
            return _TOO_LARGE
        try:
            plain = self._decode_plain(piece)
            return decode_json(piece, self._kind) if plain is None else plain
        except RefusedError as refused:
            return refused.refusal

    def _decode_plain(self, piece: bytes) -> T | None:
        """The piece where it is plainly right; None where it needs a closer look, as if it is deep.

        The decoder of msgspec lets a name be given twice. Without escapes the quotes are those
        around names and texts alone, so a name that came twice left more of them in the piece than
        are in what is encoded of it.
        """
        if b"\\" in piece or _may_be_deep(piece):
            return None
        try:
            item = self._decoder.decode(piece)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return item if self._encode(item).count(b'"') == piece.count(b'"') else None


def _may_be_deep(piece: bytes) -> bool:
    """Whether it nests deeper than allowed, or is no value at all; most have few brackets."""
    few = piece.count(b"{") + piece.count(b"[") <= BODY_DEPTH_MAX
    return not few and not _VALUE.fullmatch(piece.strip())


async def read_items(request: Request, decoder: ItemDecoder[T]) -> list[T | Refusal]:
    """Each of the many things in a body, or why it is none. Others have a turn in between.

    Raises:
        RefusedError: the body as a whole is none that can be cut; see `pieces`.
    """
    items: list[T | Refusal] = []
    turn = 0
    for piece in pieces(request):
        items.append(decoder.decode(piece))
        turn += len(piece)
        if turn >= ITEMS_BYTES_A_TURN or len(items) % ITEMS_A_TURN == 0:
            turn = 0
            await trio.lowlevel.checkpoint()
    return items
