"""How sessions begin, and who is refused."""

import pytest
import trio
import trio.testing

from channels.limits import Limits
from channels.longpoll import LongPoll
from channels.testing import Node
from tests.channels.polling import Doorman, Poller

TOPIC = "room:1"
WINDOW_S = Limits().poll_s


async def test_the_first_request_begins_a_session(
    longpoll: LongPoll, node: Node, doorman: Doorman
) -> None:
    """It is answered 410 with a ticket; the application is asked as of any client."""
    poller = await Poller(longpoll, "a[b]=c&vsn=2.0.0&token=ann").open()
    assert doorman.asked == [({"a": {"b": "c"}, "vsn": "2.0.0"}, "ann", "192.0.2.1")]
    found = node.endpoint.statistics()
    assert (found.connections, found.opened, longpoll.statistics().sessions) == (1, 1, 1)
    assert await poller.join(TOPIC) == {}


async def test_a_token_in_the_header_comes_before_one_in_the_query(
    longpoll: LongPoll, doorman: Doorman
) -> None:
    """Newer clients send it so, and with polls only."""
    headers = {"host": "test", "x-phoenix-authtoken": "bob"}
    await Poller(longpoll, headers=headers).open()
    assert doorman.asked[0][1] == "bob"


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("vsn=2.0.0", {}, 403),
        ("vsn=2.0.0&token=limited", {}, 403),
        ("vsn=2.0.0&token=down", {}, 500),
        ("vsn=2.0.0&token=crash", {}, 500),
        ("vsn=3.0.0&token=ann", {}, 403),
        ("vsn=2.0.0&token=ann", {"origin": "https://theirs.example"}, 403),
    ],
)
async def test_who_is_refused_is_told_in_the_body(
    longpoll: LongPoll, node: Node, query: str, headers: dict[str, str], status: int
) -> None:
    """With a status that the client knows: other ones make it stall."""
    assert await Poller(longpoll, query).get(**headers) == {"status": status}
    assert longpoll.statistics().sessions == node.endpoint.statistics().connections == 0


async def test_a_handler_that_hangs_refuses(
    longpoll: LongPoll, autojump_clock: trio.testing.MockClock
) -> None:
    """After the time for a handshake."""
    assert await Poller(longpoll, "vsn=2.0.0&token=hang").get() == {"status": 500}
    assert autojump_clock.current_time() == pytest.approx(Limits().handshake_s)


async def test_pages_of_other_origins_may_not_poll_or_post(poller: Poller) -> None:
    """Also with a ticket; a page of ours may."""
    assert await poller.get(origin="https://theirs.example") == {"status": 403}
    join = ["1", "1", TOPIC, "phx_join", {}]
    assert await poller.post(join, origin="https://theirs.example") == 403
    assert await poller.post(join, origin="https://ours.example") == 200
    assert len(await poller.poll()) == 1


async def test_a_browser_is_told_what_it_may_send(longpoll: LongPoll) -> None:
    """A page of ours asks from another origin than the server's."""
    headers = {"access-control-request-headers": "x-phoenix-authtoken"}
    answer = await Poller(longpoll).send("OPTIONS", headers=headers)
    assert (answer.status, answer.body) == (200, b"")
    assert ("Access-Control-Allow-Headers", "x-phoenix-authtoken") in answer.headers


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD", "NONSENSE"])
async def test_other_methods_are_no_requests(longpoll: LongPoll, method: str) -> None:
    """HTTP 400, as Phoenix."""
    assert (await Poller(longpoll).send(method)).status == 400
