"""The npm client as its token ends, is renewed, and is revoked: on one node, and on two."""

import pytest

from app.demo.store import load_demo
from app.storage import Database
from channels.testing import serving
from tests.channels.rooms import Script
from tests.channels.tickets import Tickets
from tests.e2e.node import NodeClient, Refused, node_client
from tests.e2e.server import AgioServer, agio_server, client, token
from tests.e2e.sockets import listening

pytestmark = [pytest.mark.slow]

VERSIONS = ["phoenix-1.6", "phoenix-1.7", "phoenix-1.8.12", "phoenix"]
SALE = "sale:demo"


def opened(phoenix: NodeClient, times: int) -> None:
    """The client has connected so often, and no more."""
    assert times == len([line for line in phoenix.lines if line.get("socket") == "open"])


@pytest.mark.parametrize("package", VERSIONS)
async def test_every_client_comes_back_with_a_new_token(package: str) -> None:
    """It is warned, closed, connects again by itself with the next token, and joins again."""
    script = Script()
    async with (
        serving([("room:*", script.room)], handler=Tickets()) as node,
        listening(node) as url,
        node_client(package) as phoenix,
    ):
        await phoenix.do("connect", url=url, tokens=["ann 1", "ann"])
        await phoenix.do("join", topic="room:1", params={})
        (warned,) = await phoenix.wait_for(1, event="token_expiring")
        assert (warned["topic"], warned["payload"]) == ("phoenix", {"expires_in": 0})
        await phoenix.wait_for(1, socket="closed", code=4401)
        await phoenix.wait_for(2, topic="room:1", joined=True)
        answer = await phoenix.do("push", topic="room:1", event="echo", payload={"a": 1})
        assert answer == {"a": 1}


@pytest.mark.parametrize("package", VERSIONS)
async def test_every_client_renews_its_token_in_place(package: str) -> None:
    """By the socket, or by any of its channels; it then stays beyond the first one's end."""
    script = Script()
    async with (
        serving([("room:*", script.room)], handler=Tickets()) as node,
        listening(node) as url,
        node_client(package) as phoenix,
        node_client(package) as other,
    ):
        await phoenix.do("connect", url=url, token="ann 4")
        await phoenix.do("join", topic="room:1", params={})
        await phoenix.wait_for(1, topic="room:1", joined=True)
        payload = {"access_token": "ann 3000"}
        answer = await phoenix.do("push", topic="room:1", event="access_token", payload=payload)
        assert 2900 < answer["expires_in"] <= 3000
        assert 2900 < (await phoenix.do("renew", token="ann 3000"))["expires_in"] <= 3000
        # One that came later, with the same time, goes: so the first one's first end is over.
        await other.do("connect", url=url, token="ann 4")
        await other.wait_for(1, socket="closed", code=4401)
        answer = await phoenix.do("push", topic="room:1", event="echo", payload={"a": 1})
        assert answer == {"a": 1}
        opened(phoenix, 1)
        assert script.made == 1


@pytest.mark.servers
async def test_a_client_renews_in_a_sale(server: AgioServer) -> None:
    """With a token of the same person; what is not one is refused with its code."""
    async with node_client() as phoenix:
        await phoenix.do("connect", url=server.socket_url, token=token("buyer", ttl_s=30))
        await phoenix.do("watch", topic=SALE, recover=True)
        await phoenix.wait_for(1, event="token_expiring")
        with pytest.raises(Refused) as caught:
            await phoenix.do("renew", token=token("seller"))
        assert "forbidden" == caught.value.response["code"]
        fresh = {"access_token": token("buyer", ttl_s=3600)}
        codes = ["busy"]
        while codes[-1] == "busy":  # one new token a second is looked at
            try:
                answer = await phoenix.do("push", topic=SALE, event="access_token", payload=fresh)
                codes.append("ok")
            except Refused as refused:
                codes.append(refused.response["code"])
        assert {"busy", "ok"} == set(codes)
        assert 3600 <= answer["expires_in"] <= 3605
        opened(phoenix, 1)


async def signed_out(http_at: AgioServer, text: str) -> None:
    """Have this token revoked, as its holder."""
    async with client(http_at, "buyer") as http:
        http.headers["Authorization"] = f"Bearer {text}"
        assert 200 == (await http.post("/v1/revocations", json={})).status_code
        assert 401 == (await http.get("/v1/sales")).status_code


@pytest.mark.servers
@pytest.mark.parametrize("redis", ["there", "away"])
async def test_a_revoked_client_is_cut_on_every_node_and_stays_out(
    redis: str, database_url: str, valkey_url: str, database: Database
) -> None:
    """Whichever node was asked, and with Redis or without; another of the same person goes on."""
    await database.write(load_demo)
    url = valkey_url if redis == "there" else "redis://127.0.0.1:1"
    text = token("buyer")
    async with (
        agio_server(database_url, url) as first,
        agio_server(database_url, url) as second,
        node_client() as gone,
        node_client() as stays,
    ):
        for phoenix, at, held in [(gone, second, text), (stays, second, token("buyer"))]:
            await phoenix.do("connect", url=at.socket_url, token=held)
            await phoenix.do("watch", topic=SALE, recover=True)
        await signed_out(first, text)
        await gone.wait_for(1, socket="closed", code=4403)
        await gone.wait_for(3, socket="closed")  # it tries again and again, and is refused
        opened(gone, 1)
        async with client(second, "buyer") as http:
            http.headers["Authorization"] = f"Bearer {text}"
            assert 401 == (await http.get("/v1/sales")).status_code
        seen = await stays.do("view", topic=SALE)
        assert 1 == seen["joins"]


@pytest.mark.servers
async def test_an_operator_reaches_people_on_every_node(
    database_url: str, valkey_url: str, database: Database
) -> None:
    """To tell them something, to end their membership, and to send them away."""
    await database.write(load_demo)
    async with (
        agio_server(database_url, valkey_url) as first,
        agio_server(database_url, valkey_url) as second,
        node_client() as phoenix,
        client(first, "operator") as operator,
    ):
        await phoenix.do("connect", url=second.socket_url, token=token("buyer"))
        await phoenix.do("join", topic=SALE, params={})
        await phoenix.wait_for(1, topic=SALE, joined=True)
        payload = {"text": "Ten minutes left"}
        sent = await operator.post(
            f"/v1/topics/{SALE}/messages", json={"event": "announcement", "payload": payload}
        )
        assert (202, {"everywhere": True, "cursor": None}) == (sent.status_code, sent.json())
        (heard,) = await phoenix.wait_for(1, event="announcement")
        assert payload == heard["payload"]
        person = {"person": "demo-buyer"}
        await operator.post("/v1/operations/kick", json={"topic": SALE, **person})
        await phoenix.wait_for(1, topic=SALE, left=True)
        await phoenix.do("join", topic=SALE, params={})
        await phoenix.wait_for(2, topic=SALE, joined=True)
        await operator.post("/v1/operations/disconnect", json=person)
        await phoenix.wait_for(1, socket="closed", code=1001)
        await phoenix.wait_for(3, topic=SALE, joined=True)
