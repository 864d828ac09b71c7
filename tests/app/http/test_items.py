"""Many things in one body: cut apart, then each read by itself."""

from typing import Annotated, Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import Code, Refusal
from app.http.items import ItemDecoder, has_many, pieces, read_items
from app.http.message import JSON, NDJSON, RefusedError, Request
from app.limits import BODY_BYTES_MAX, BODY_DEPTH_MAX, ITEMS_MAX


class Thing(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A thing."""

    name: str
    amount: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] = 0
    more: dict[str, Any] | None = None


DECODER: Final = ItemDecoder(Thing)


def sent(body: bytes, media: str = JSON) -> Request:
    """A request with this body."""
    return Request("POST", "/", "", {"content-type": media}, body)


def refused(body: bytes, media: str = JSON) -> Refusal:
    """Why a body cannot be cut apart."""
    with pytest.raises(RefusedError) as found:
        list(pieces(sent(body, media)))
    return found.value.refusal


@pytest.mark.parametrize(
    ("body", "media", "many"),
    [
        (b'{"name": "a"}', JSON, False),
        (b" \r\n\t[]", JSON, True),
        (b"[1]", "application/json; charset=utf-8", True),
        (b"", JSON, False),
        (b'"["', JSON, False),
        (b'{"name": "a"}', NDJSON, True),
        (b"", "Application/X-NDJSON;charset=utf-8", True),
    ],
)
def test_many_come_as_an_array_or_as_lines(body: bytes, media: str, many: bool) -> None:  # noqa: FBT001 - what is expected
    """One thing is a JSON value that is no array."""
    assert has_many(sent(body, media)) is many


@pytest.mark.parametrize("media", ["", "text/plain", "application/ndjson", "application/jsonl"])
def test_another_content_type_is_refused(media: str) -> None:
    """And told which there are."""
    refusal = refused(b"[]", media)
    assert refusal.code is Code.UNSUPPORTED_MEDIA_TYPE
    assert JSON in refusal.message
    assert NDJSON in refusal.message


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", []),
        (b"1", [b"1"]),
        (b"1\n", [b"1"]),
        (b"1\r\n2\r\n", [b"1\r", b"2\r"]),
        (b"1\n\n2", [b"1", b"", b"2"]),
        (b'{"a": "\\n"}\nx', [b'{"a": "\\n"}', b"x"]),
    ],
)
def test_lines(body: bytes, expected: list[bytes]) -> None:
    """The last may have an end or none; an empty one counts like any other."""
    assert list(pieces(sent(body, NDJSON))) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"[]", []),
        (b" [ \n] \t", []),
        (b"[1]", [b"1"]),
        (b'[1 ,null, "a,]b" ]', [b"1", b"null", b'"a,]b"']),
        (b'[{"a": [1, {"b": "}"}]}, []]', [b'{"a": [1, {"b": "}"}]}', b"[]"]),
        (b'["\\"", "\\\\", "]"]', [b'"\\""', b'"\\\\"', b'"]"']),
        (b'[{"a": 1], tru, 1e, {"b"}]', [b'{"a": 1]', b"tru", b"1e", b'{"b"}']),
    ],
)
def test_elements(body: bytes, expected: list[bytes]) -> None:
    """They are told apart by brackets, texts and commas; what is wrong inside is theirs alone."""
    assert list(pieces(sent(body))) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[",
        b"[1",
        b"[1,",
        b"[1,]",
        b"[,1]",
        b"[1 2]",
        b"[1]]",
        b"[1],[2]",
        b"[1]x",
        b'["a]',
        b'[{"a": 1]',
        b"[[1]",
        b"]",
        b"\xef\xbb\xbf[1]",
        b"[" * (BODY_DEPTH_MAX + 2) + b"]" * (BODY_DEPTH_MAX + 2),
        b"[" * 60_000,
        b'["' + b'\\"' * 32_000,
        b'["' + b"a" * BODY_BYTES_MAX + b'"]',
    ],
)
def test_what_is_no_array_is_refused_whole(body: bytes) -> None:
    """With the place where it went wrong. Whatever the bytes, that takes no time to speak of."""
    refusal = refused(body)
    assert refusal.code is Code.INVALID_REQUEST
    assert refusal.message.startswith("The body is not JSON: expected ")


@pytest.mark.parametrize(
    ("body", "media"),
    [(b"[0" + b",0" * ITEMS_MAX + b"]", JSON), (b"\n" * (ITEMS_MAX + 1), NDJSON)],
)
def test_no_more_than_the_bound(body: bytes, media: str) -> None:
    """One more is too large; the bound itself is not."""
    assert refused(body, media).code is Code.TOO_LARGE
    fits = body[:-2] + b"]" if media == JSON else body[:-1]
    fits = b"[0" + b",0" * (ITEMS_MAX - 1) + b"]" if media == JSON else fits
    assert len(list(pieces(sent(fits, media)))) == ITEMS_MAX


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
).filter(lambda value: depth_of(value) <= BODY_DEPTH_MAX)


def depth_of(value: object) -> int:
    """How deep it nests."""
    inner = (
        value if isinstance(value, list) else value.values() if isinstance(value, dict) else None
    )
    return 0 if inner is None else 1 + max(map(depth_of, inner), default=0)


@given(st.lists(json_values, max_size=5))
def test_any_array_falls_into_its_elements(values: list[Any]) -> None:
    """Each is what was put in."""
    cut = pieces(sent(msgspec.json.encode(values)))
    assert [msgspec.json.decode(piece) for piece in cut] == values


@pytest.mark.parametrize(
    ("piece", "detail"),
    [
        (b"", "The body is not JSON"),
        (b"nonsense", "The body is not JSON"),
        (b'{"name": "a"', "The body is not JSON"),
        (b'{"name": "\xff"}', "The body is not UTF-8."),
        (b'{"name": "\xed\xa0\x80"}', "The body is not UTF-8."),
        (b"[]", "Expected `object`, got `array`."),
        (b"{}", "Object missing required field `name`."),
        (b'{"name": "a", "colour": 1}', "unknown field `colour`"),
        (b'{"name": "a", "name": "a"}', "`name` is given twice."),
        (b'{"name": "a", "amount": 1, "amount": 0}', "`amount` is given twice."),
        (b'{"name": "a", "more": {"x": 1, "x": 1}}', "`x` is given twice."),
        (b'{"name": "a", "n\\u0061me": "a"}', "`name` is given twice."),
        (b'{"name": "a\\u0000"}', "`name` holds a character that is not text."),
        (b'{"name": "a\\ud800"}', "`name` holds a character that is not text."),
        (b'{"name": "a", "amount": 1.5}', "Expected `int`, got `float` - at `$.amount`."),
        (b'{"name": "a", "amount": 1.0}', "Expected `int`, got `float` - at `$.amount`."),
        (b'{"name": "a", "amount": 1e3}', "Expected `int`, got `float` - at `$.amount`."),
        (b'{"name": "a", "amount": true}', "Expected `int`, got `bool` - at `$.amount`."),
        (b'{"name": "a", "amount": "5"}', "Expected `int`, got `str` - at `$.amount`."),
        (b'{"name": "a", "amount": null}', "Expected `int`, got `null` - at `$.amount`."),
        (b'{"name": "a", "amount": NaN}', "NaN is not a JSON number."),
        (b'{"name": "a", "amount": -0x1}', "The body is not JSON"),
        (b'{"name": "a", "amount": 9223372036854775808}', "at `$.amount`."),
        (b'{"name": "a", "amount": ' + b"9" * 5000 + b"}", "a number that is too long"),
        (b'{"name": "a", "more": {"x": 1e999}}', "1e999 is beyond all numbers."),
        (b'{"name":"a","more":{"x":' + b"[" * 9 + b"]" * 9 + b"}}", "nests deeper than 8"),
        (b'{"name":"a","more":{"x":' + b"[" * 30_000, "nests deeper than 8"),
    ],
)
def test_a_bad_piece_is_told_precisely(piece: bytes, detail: str) -> None:
    """As the body of a request is: what is wrong, and where."""
    found = DECODER.decode(piece)
    assert isinstance(found, Refusal), found
    assert found.code is Code.INVALID_REQUEST
    assert detail in found.message


def test_a_piece_beyond_the_bound_is_not_looked_at() -> None:
    """A line may be as large as a whole body usually may."""
    found = DECODER.decode(b'"' + b"a" * BODY_BYTES_MAX)
    assert isinstance(found, Refusal)
    assert found.code is Code.TOO_LARGE


@given(
    st.text(),
    st.integers(-(2**63), 2**63 - 1) | st.none(),
    st.dictionaries(st.text(), json_values, max_size=2),
)
def test_a_good_piece_is_what_was_sent(name: str, amount: int | None, more: dict[str, Any]) -> None:
    """However it is spelled, the fast way and the slow way agree."""
    if "\x00" in name + repr(more):
        return
    fields: dict[str, Any] = {"name": name, "more": more}
    if amount is not None:
        fields["amount"] = amount
    if depth_of(fields) > BODY_DEPTH_MAX or "\\x00" in repr(fields):
        return
    expected = Thing(name, amount or 0, more)
    plain = msgspec.json.encode(fields)
    spaced = msgspec.json.format(plain)
    escaped = "".join(
        character if character.isascii() else "".join(f"\\u{unit:04x}" for unit in utf16(character))
        for character in plain.decode()
    ).encode()
    for spelling in (plain, spaced, escaped):
        assert DECODER.decode(spelling) == expected


def utf16(character: str) -> list[int]:
    """Its code units, as JSON escapes have them."""
    raw = character.encode("utf-16-be")
    return [int.from_bytes(raw[place : place + 2], "big") for place in range(0, len(raw), 2)]


@pytest.mark.parametrize("media", [JSON, NDJSON])
async def test_a_bad_one_spoils_no_other(media: str) -> None:
    """They come in order, each as it is or with what is wrong with it."""
    texts = [b'{"name":"a","amount":1}', b'{"name":"b","amount":1.5}', b"nonsense", b'{"name":"c"}']
    body = b"\n".join(texts) if media == NDJSON else b"[" + b",".join(texts) + b"]"
    first, second, third, fourth = await read_items(sent(body, media), DECODER)
    assert (first, fourth) == (Thing("a", 1), Thing("c"))
    assert isinstance(second, Refusal)
    assert isinstance(third, Refusal)
    assert {second.code, third.code} == {Code.INVALID_REQUEST}


def test_a_struct_that_is_read_loosely_is_no_item() -> None:
    """Names given twice would pass unseen."""

    class Loose(msgspec.Struct, forbid_unknown_fields=True):
        name: str = ""

    with pytest.raises(AssertionError, match="given twice"):
        ItemDecoder(Loose)
