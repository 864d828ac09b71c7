"""Signing out, and being sent away for good, over HTTP: on every node."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.domain.errors import Code
from channels.broker import MemoryWire
from channels.testing import HandshakeRefused, connect
from tests.app.http.house import House, house
from tests.app.sales.conftest import market as market  # noqa: PLC0414 - a fixture
from tests.app.sales.market import Market

pytestmark = pytest.mark.servers


@pytest.fixture
async def here(market: Market) -> AsyncIterator[House]:
    """A node with an open sale."""
    await market.open("friday")
    async with house(market.database, MemoryWire()) as running:
        yield running


async def test_who_signs_out_is_out_everywhere(here: House, market: Market) -> None:
    """The token opens nothing on any node, and its sockets are closed; the others' go on."""
    token = here.token("buyer:bea")
    async with (
        house(market.database, here.wire, "b") as there,
        connect(here.node.endpoint, token=token) as near,
        connect(there.node.endpoint, token=token) as far,
        here.member("bea") as other,
    ):
        answer = await here.api.post_with(token, "/v1/revocations", {})
        assert (answer.status, answer.body["session"]) == (200, here.session(token))
        assert (answer.body["person"], answer.body["issued_until"]) == (None, None)
        assert [await near.assert_ended(), await far.assert_ended()] == [4403, 4403]
        await other.heartbeat()
        for place in (here, there):
            refused = await place.api.post_with(token, "/v1/revocations", {})
            assert (refused.status, refused.code) == (401, Code.UNAUTHORIZED)
            assert refused.body["detail"] == "The token was revoked."
            with pytest.raises(HandshakeRefused, match="403"):
                async with connect(place.node.endpoint, token=token):
                    pass


async def test_an_operator_revokes_a_session(here: House) -> None:
    """By its id; doing it again is the same."""
    token = here.token("seller:sam")
    body = {"session": here.session(token)}
    async with connect(here.node.endpoint, token=token) as client:
        first = await here.post("operator", "/v1/revocations", body)
        assert first.status == 200
        assert first.body == (await here.post("operator", "/v1/revocations", body)).body
        assert await client.assert_ended() == 4403


async def test_an_operator_revokes_a_person(here: House) -> None:
    """All their sessions on the line; a person of that name on another line goes on."""
    async with (
        here.member("bea") as first,
        here.member("bea") as second,
        here.member("ann") as ann,
        here.member("bea", "bench:1", "other") as namesake,
    ):
        answer = await here.post("operator", "/v1/revocations", {"person": "bea"})
        assert (answer.body["person"], answer.body["session"]) == ("bea", None)
        assert answer.body["issued_until"] < answer.body["expires_at"]
        assert [await first.assert_ended(), await second.assert_ended()] == [4403, 4403]
        for client in (ann, namesake):
            await client.heartbeat()


@pytest.mark.parametrize(
    ("who", "body", "code"),
    [
        ("buyer:bea", {"person": "ann"}, Code.FORBIDDEN),
        ("seller", {"session": "x" * 16}, Code.FORBIDDEN),
        ("operator", {"session": "x" * 15}, Code.INVALID_REQUEST),
        ("operator", {"session": "x" * 16, "person": "ann"}, Code.INVALID_REQUEST),
        ("operator", {"person": "no name"}, Code.INVALID_REQUEST),
        ("operator", {"everybody": True}, Code.INVALID_REQUEST),
    ],
)
async def test_what_may_not_be_revoked_is_refused(
    here: House, who: str, body: dict[str, Any], code: Code
) -> None:
    """With its code, and nothing is."""
    assert (await here.post(who, "/v1/revocations", body)).code == code


async def test_who_is_revoked_is_not_renewed(here: House) -> None:
    """Neither by the token that was revoked, nor onto it."""
    token = here.token("buyer:bea")
    async with here.member("bea") as client:
        await here.api.post_with(token, "/v1/revocations", {})
        ref = await client.push("phoenix", "access_token", {"access_token": token})
        answer = await client.assert_reply(ref, "error")
        assert (answer["code"], answer["message"]) == ("unauthorized", "The token was revoked.")
        await client.heartbeat()


async def test_an_unknown_line_revokes_nothing(here: House) -> None:
    """There is no place to keep it."""
    answer = await here.post("operator", "/v1/revocations", {"person": "bea"}, line="nowhere")
    assert answer.code == Code.FORBIDDEN
