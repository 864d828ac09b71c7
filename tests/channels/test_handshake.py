"""What a client asks for when it connects."""

from base64 import b64encode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.handshake import (
    TOKEN_PREFIX,
    Asked,
    ConnectRefused,
    Params,
    decode_token,
    examine,
    parse_query,
)
from channels.serializer import Serializer
from channels.serializer_v1 import V1
from channels.serializer_v2 import V2

PATH = "/socket/websocket"


@pytest.mark.parametrize(
    ("query", "params"),
    [
        ("", {}),
        ("vsn=2.0.0", {"vsn": "2.0.0"}),
        ("a=1&&b=2&", {"a": "1", "b": "2"}),
        ("&", {}),
        ("a", {"a": ""}),
        ("a=1&a=2", {"a": "2"}),
        ("a=b=c", {"a": "b=c"}),
        ("a%5Bb%5D=c", {"a": {"b": "c"}}),
        ("a[b]=c&a[d]=e", {"a": {"b": "c", "d": "e"}}),
        ("a[b][c]=d", {"a": {"b": {"c": "d"}}}),
        ("a[0]=x&a[1]=y", {"a": {"0": "x", "1": "y"}}),
        ("a[b][c][d]=e", {}),
        ("a=1&a[b]=2", {"a": {"b": "2"}}),
        ("a[b]=2&a=1", {"a": "1"}),
        ("[a]=1", {"[a]": "1"}),
        ("a[b=1", {"a[b": "1"}),
        ("a]b=1", {"a]b": "1"}),
        ("na%20me=h%C3%A9+you", {"na me": "hé you"}),
        ("a=%ff", {"a": "\ufffd"}),
    ],
)
def test_a_query_is_read_as_clients_write_it(query: str, params: Params) -> None:
    """Empty pairs are passed over, and brackets nest."""
    assert params == parse_query(query)


def test_a_query_is_bounded() -> None:
    """Pairs beyond the bound are left out."""
    assert len(parse_query("&".join(f"k{n}=v" for n in range(1000)))) == 64


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_token_is_read_in_both_alphabets(token: str) -> None:
    """Browsers write standard base64, others the one for URLs; neither pads."""
    for encode in (b64encode, urlsafe_b64encode):
        encoded = encode(token.encode()).decode()
        assert [token, token] == [decode_token(encoded), decode_token(encoded.rstrip("="))]


@pytest.mark.parametrize("encoded", ["a", "a!b", "_____w", "é", "YQ=Y"])
def test_what_is_no_token_is_none(encoded: str) -> None:
    """Broken base64 and what is not text."""
    assert decode_token(encoded) is None


def test_a_token_comes_by_the_query() -> None:
    """It is taken out of the params, which may be shown to people."""
    asked = examine(f"{PATH}?vsn=2.0.0&token=secret&a=1", [], PATH)
    assert asked == Asked(V2, {"vsn": "2.0.0", "a": "1"}, "secret", None)


def test_a_token_comes_by_the_subprotocol() -> None:
    """It wins, and the answer names the protocol without the token."""
    offered = ["phoenix", TOKEN_PREFIX + b64encode(b"newer").decode().rstrip("=")]
    asked = examine(f"{PATH}?vsn=2.0.0&token=older", offered, PATH)
    assert asked == Asked(V2, {"vsn": "2.0.0"}, "newer", "phoenix")


@pytest.mark.parametrize(
    ("offered", "answered"),
    [([], None), (["phoenix"], "phoenix"), (["other", "phoenix"], "phoenix")],
)
def test_a_subprotocol_is_answered_when_one_is_offered(
    offered: list[str], answered: str | None
) -> None:
    """Browsers fail the handshake otherwise."""
    assert examine(f"{PATH}?vsn=2.0.0", offered, PATH) == Asked(
        V2, {"vsn": "2.0.0"}, None, answered
    )


@pytest.mark.parametrize(
    ("target", "offered", "status"),
    [
        ("/other?vsn=2.0.0", [], 404),
        (f"{PATH}?vsn=1.1.0", [], 403),
        (f"{PATH}?vsn=2.1.0", [], 403),
        (f"{PATH}?vsn=3.0.0", [], 403),
        (f"{PATH}?vsn=2.0", [], 403),
        (f"{PATH}?vsn=2", [], 403),
        (f"{PATH}?vsn=", [], 403),
        (f"{PATH}?vsn=two", [], 403),
        (f"{PATH}?vsn[a]=2.0.0", [], 403),
        (f"{PATH}?vsn=2.0.0", ["other"], 403),
        (f"{PATH}?vsn=2.0.0", [TOKEN_PREFIX + "YQ"], 403),
        (f"{PATH}?vsn=2.0.0", ["phoenix", TOKEN_PREFIX + "!"], 403),
    ],
)
def test_a_wrong_handshake_is_refused(target: str, offered: list[str], status: int) -> None:
    """Each with the status that says what is wrong."""
    refused = examine(target, offered, PATH)
    assert isinstance(refused, ConnectRefused)
    assert status == refused.status


@pytest.mark.parametrize(
    ("version", "serializer"),
    [
        ("1.0.0", V1),
        ("1.0.9", V1),
        ("2.0.0", V2),
        ("2.0.7", V2),
        ("2.0.0-rc.1", V2),
        ("2.0.0+build", V2),
    ],
)
def test_versions_that_match(version: str, serializer: type[Serializer]) -> None:
    """Everything from 1.0.0 up to 1.1, and from 2.0.0 up to 2.1."""
    asked = examine(f"{PATH}?vsn={version.replace('+', '%2B')}", [], PATH)
    assert asked == Asked(serializer, {"vsn": version}, None, None)


def test_who_names_no_version_speaks_the_first() -> None:
    """As in Phoenix: such clients are older than the parameter."""
    assert examine(PATH, [], PATH) == Asked(V1, {}, None, None)


def test_an_empty_token_is_none() -> None:
    """Clients without one send an empty pair."""
    assert examine(f"{PATH}?vsn=2.0.0&token=", [], PATH) == Asked(V2, {"vsn": "2.0.0"}, None, None)
