"""One process's part of a load test, against servers that keep, lose, double and mix messages."""

import msgspec
import pytest
import trio
from trio.testing import memory_stream_one_way_pair
from wsproto.events import CloseConnection, Event, Ping, TextMessage

from app.lines import line_of, read_lines
from app.loadtest.model import (
    Drain,
    Failed,
    FromWorker,
    Go,
    Joined,
    Plan,
    Progress,
    Result,
    Sent,
    Share,
)
from app.loadtest.target import read_target
from app.loadtest.worker import Worker
from tests.app.loadtest.hall import CERTIFICATE, Hall, hall

pytestmark = pytest.mark.slow

# Twenty messages to three members: what is not on time is not what these tests are about.
PLAN = Plan(
    connections=3,
    rate=50.0,
    window=None,
    duration_s=0.4,
    warm_up_s=0.0,
    drain_s=30.0,
    late_s=60.0,
    topic="room",
)

# Where something never comes, it is waited for in vain.
LOSSY = msgspec.structs.replace(PLAN, drain_s=2.0)


async def told_by(url: str, plan: Plan) -> list[FromWorker]:
    """What a worker tells that does all there is to do at this place."""
    to_worker, commands = memory_stream_one_way_pair()
    told, from_worker = memory_stream_one_way_pair()
    place = msgspec.structs.replace(read_target(url), address="127.0.0.1")
    heard: list[FromWorker] = []

    async def work() -> None:
        await Worker(commands, told).run()
        await told.aclose()

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(work)
            await to_worker.send_all(line_of(Share(plan, place, 0, "word")))
            async for line in read_lines(from_worker):
                heard.append(msgspec.json.decode(line, type=FromWorker))
                if isinstance(heard[-1], Joined):
                    await to_worker.send_all(line_of(Go(heard[-1].ended_ns)))
                elif isinstance(heard[-1], Sent):
                    await to_worker.send_all(line_of(Drain(heard[-1].sent)))
    return heard


async def result_of(made: Hall, plan: Plan = PLAN) -> Result:
    """What a worker counts in this hall."""
    async with hall(made):
        heard = await told_by(made.url, plan)
    result = heard[-1]
    assert isinstance(result, Result), result
    return result


async def failure_of(url: str) -> str:
    """Why a worker could not begin."""
    failed = (await told_by(url, PLAN))[-1]
    assert isinstance(failed, Failed)
    return failed.reason.replace(url, "URL")


async def test_all_that_is_sent_is_counted() -> None:
    """Twenty messages, each to three members, at their points of the plot."""
    made = Hall()
    result = await result_of(made)
    assert (20, 0, 60, 60) == (result.sent, result.unsent, result.expected, result.delivered)
    assert (0, 0, 0) == (result.late, result.duplicates, result.reordered)
    assert (0, 0, 0) == (result.gone, result.refused, result.stalls)
    assert 60 == sum(histogram.total for histogram in result.slots.values())
    assert [15, 15, 15, 15] == [result.slots[slot].total for slot in range(4)]
    assert 20 == result.lag.total
    assert 0 < result.busy <= 1
    assert [["1", "1", "room", "phx_join", {}]] * 3 == made.joins


async def test_what_is_lost_doubled_or_mixed_is_told_apart() -> None:
    """Each member has its own account, so nothing makes up for anything else."""
    kept: list[Event] = []

    def twist(member: int, seq: int, text: str) -> list[Event]:
        event = TextMessage(text)
        if member == 0 and seq % 5 == 0:
            return []
        if member == 1 and seq == 3:
            return [event, event]
        if member == 2 and seq == 7:
            kept.append(event)
            return []
        if member == 2 and seq == 8:
            return [event, *kept]
        return [event]

    result = await result_of(Hall(twist), LOSSY)
    assert (20, 60, 56) == (result.sent, result.expected, result.delivered)
    assert (1, 1) == (result.duplicates, result.reordered)


async def test_late_deliveries_are_delivered() -> None:
    """And counted as late: here all that is older than no time at all."""
    result = await result_of(Hall(), msgspec.structs.replace(PLAN, late_s=0.0))
    assert (60, 60) == (result.delivered, result.late)


async def test_what_was_meant_to_warm_up_is_not_measured() -> None:
    """It is sent before."""
    heard: list[int] = []

    def twist(member: int, seq: int, text: str) -> list[Event]:
        heard.extend([seq] * (member == 0))
        return [TextMessage(text)]

    result = await result_of(Hall(twist), msgspec.structs.replace(PLAN, warm_up_s=0.2))
    assert list(range(1, 31)) == heard
    assert (20, 60, 60) == (result.sent, result.expected, result.delivered)


async def test_a_window_goes_on_when_all_have_it() -> None:
    """There are never more messages on their way than agreed."""
    most = 0
    counts = [0, 0, 0]

    def twist(member: int, seq: int, text: str) -> list[Event]:
        nonlocal most
        most = max(most, seq - min(counts))
        counts[member] = seq
        return [TextMessage(text)]

    plan = msgspec.structs.replace(PLAN, rate=None, window=3)
    result = await result_of(Hall(twist), plan)
    assert result.expected == result.delivered == 3 * result.sent > 0
    assert most <= 3
    assert 0 == result.lag.total


async def test_a_window_is_given_up_when_nothing_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    """So one lost message does not end the run; it is lost all the same."""
    monkeypatch.setattr("app.loadtest.run._STALL_NS", 50_000_000)

    def twist(member: int, seq: int, text: str) -> list[Event]:
        return [] if (member, seq) == (1, 2) else [TextMessage(text)]

    result = await result_of(Hall(twist), msgspec.structs.replace(LOSSY, rate=None, window=1))
    assert result.stalls >= 1
    assert result.sent > 2
    assert result.bytes_in > 0  # or no second one would have been sent
    assert 1 == result.expected - result.delivered


async def test_a_connection_that_ends_loses_what_it_would_have_got() -> None:
    """The others go on."""

    def twist(member: int, seq: int, text: str) -> list[Event]:
        if member == 1 and seq == 11:
            return [CloseConnection(1001)]
        return [TextMessage(text)] if member != 1 or seq < 11 else []

    # One after the other, so that the first one publishes here and there.
    result = await result_of(Hall(twist), msgspec.structs.replace(PLAN, ramp=20.0))
    assert (1, 60, 50) == (result.gone, result.expected, result.delivered)


async def test_who_publishes_is_replaced() -> None:
    """By another member of the room; what nobody can send is told."""

    def twist(member: int, seq: int, text: str) -> list[Event]:
        return [TextMessage(text), CloseConnection(1001)] if seq >= member + 5 else []

    result = await result_of(Hall(twist), msgspec.structs.replace(PLAN, ramp=20.0))
    assert (20, 3 * result.sent) == (result.sent + result.unsent, result.expected)
    assert result.sent > 5
    assert 3 == result.gone == result.delivered


async def test_whatever_the_protocol_allows_is_understood() -> None:
    """Pings, fragments, other people's messages, and pieces of any size."""
    others = '[null,null,"room","x",{"run":"other","seq":1,"t":1}]'

    def twist(_member: int, seq: int, text: str) -> list[Event]:
        cut = len(text) // 2
        parts = [
            TextMessage(text[:cut], message_finished=False),
            Ping(payload=b"?"),
            TextMessage(text[cut:]),
        ]
        return [TextMessage(others), *(parts if seq % 2 else [TextMessage(text)])]

    made = Hall(twist, piece=7)
    result = await result_of(made)
    assert (60, 60) == (result.expected, result.delivered)
    assert 30 == made.pongs


async def test_large_messages_come_whole() -> None:
    """Those that need several reads."""
    plan = msgspec.structs.replace(PLAN, payload_bytes=100_000)
    result = await result_of(Hall(), plan)
    assert (60, 60) == (result.expected, result.delivered)


async def test_refused_pushes_are_told() -> None:
    """With what the server says; replies that agree are let be."""
    result = await result_of(Hall(reply=("error", {"reason": "busy"})))
    assert (20, "busy", 60) == (result.refused, result.refusal, result.delivered)
    assert 0 == (await result_of(Hall(reply=("ok", {})))).refused


async def test_everybody_keeps_a_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sent in slices, so that a crowd's do not come all at once."""
    monkeypatch.setattr("app.loadtest.crowd.HEARTBEAT_SLICES", 1)
    made = Hall()
    await result_of(made, msgspec.structs.replace(PLAN, warm_up_s=1.0))
    assert made.heartbeats >= 3


async def test_it_tells_how_it_goes() -> None:
    """While it goes."""
    async with hall(Hall()) as made:
        heard = await told_by(made.url, msgspec.structs.replace(PLAN, warm_up_s=0.4))
    told = [each for each in heard if isinstance(each, Progress)]
    assert told
    assert 3 == told[-1].joined
    assert any(each.delivered and each.sent for each in told)
    assert ["Joined", "Sent", "Result"] == [
        type(each).__name__ for each in heard if not isinstance(each, Progress)
    ]


async def test_a_ramp_lets_them_in_one_by_one() -> None:
    """How long each took counts from when it was due."""
    async with hall(Hall()) as made:
        heard = await told_by(made.url, msgspec.structs.replace(PLAN, ramp=20.0))
    (joined,) = [each for each in heard if isinstance(each, Joined)]
    assert 3 == joined.latency.total
    assert joined.ended_ns - joined.began_ns >= 100_000_000


async def test_it_speaks_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """With servers whose certificates this machine trusts."""
    async with hall(Hall(piece=10), secure=True) as made:
        assert "URL/socket/websocket: self-signed certificate" == await failure_of(made.url)
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        result = (await told_by(made.url, PLAN))[-1]
    assert isinstance(result, Result)
    assert (60, 60) == (result.expected, result.delivered)


async def test_what_speaks_no_tls_is_told() -> None:
    """In one line."""
    async with hall(Hall()) as made:
        url = made.url.replace("ws://", "wss://")
        assert (await failure_of(url)).startswith("no TLS with URL")


async def test_nobody_there_is_told() -> None:
    """By the system's own word."""
    async with hall(Hall()) as made:
        url = made.url
    assert "cannot reach URL/socket/websocket: Connection refused" == await failure_of(url)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (Hall(refuse=403), "refuses with 403: is a --token missing, or expired?"),
        (Hall(refuse=503), "refuses with 503: it is full, or stopping"),
        (Hall(join=("error", {"reason": "unmatched\x1b topic"})), "room: unmatched? topic"),
        (
            Hall(join=("error", {"reason": "unmatched topic"})),
            "room: unmatched topic (of Agio, AGIO_BENCH_ROOMS=1 opens the load rooms)",
        ),
    ],
)
async def test_a_refusal_is_told(made: Hall, reason: str) -> None:
    """With what to look at, and in letters that a terminal takes."""
    async with hall(made):
        assert (await failure_of(made.url)).endswith(reason)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "URL/socket/websocket ends a connection before it could join"),
        (b"SSH-2.0-x\r\n\r\n", "what answers at URL/socket/websocket does not speak HTTP/1.1"),
        (b"x" * 20_000, "what answers at URL/socket/websocket does not speak HTTP/1.1"),
    ],
)
async def test_a_stranger_is_told(answer: bytes, reason: str) -> None:
    """Whatever answers there."""

    async def serve(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(answer)

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        url = f"ws://127.0.0.1:{listener.socket.getsockname()[1]}"
        assert reason == await failure_of(url)
        nursery.cancel_scope.cancel()


async def test_a_server_that_says_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """After as long as a client would wait."""
    monkeypatch.setattr("app.loadtest.crowd.OPEN_S", 0.1)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        url = f"ws://127.0.0.1:{listener.socket.getsockname()[1]}"
        told = await failure_of(url)
    assert "URL/socket/websocket does not answer the upgrade within 0.1 s" == told


async def test_a_worker_ends_with_its_coordinator() -> None:
    """Whatever it is doing."""
    to_worker, commands = memory_stream_one_way_pair()
    told, _ = memory_stream_one_way_pair()
    async with hall(Hall()) as made:
        place = msgspec.structs.replace(read_target(made.url), address="127.0.0.1")
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(Worker(commands, told).run)
                await to_worker.send_all(line_of(Share(PLAN, place, 0, "word")))
                while not made.joins:
                    await trio.lowlevel.checkpoint()
                await to_worker.aclose()
