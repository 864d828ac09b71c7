"""Phoenix's decision table of one socket, row by row, as frames: what a client sends, what it gets.

Each row runs in V2 and in V1. In V1 a client may say a join_ref, and never gets one.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from channels.channel import Joined
from channels.limits import Limits
from channels.testing import Client, connect, serving
from channels.testing_wire import read
from tests.channels.rooms import Hot, Script

JOIN = '["1","1","room:1","phx_join",{}]'
JOINED = '["1","1","room:1","phx_reply",{"status":"ok","response":{}}]'
CLOSED = '["1","1","room:1","phx_close",{}]'
CRASHED = '["1","1","room:1","phx_error",{"reason":"channel_crash"}]'
UNMATCHED = '{"status":"error","response":{"reason":"unmatched topic"}}'
TOO_MANY = '{"status":"error","response":{"reason":"too many channels joined"}}'


@dataclass
class Row:
    """What comes in, and all that goes out for it.

    Attributes:
        what: the row of the table.
        sent: frames, in order; all of them are in before anything is looked at.
        got: frames, in order, or in any where they concern several topics.
        joined: whether `room:1` was joined with "1" before, and that was answered.
    """

    what: str
    sent: list[str]
    got: list[str] = field(default_factory=list)
    joined: bool = True


ROWS = [
    Row(
        "a heartbeat",
        ['[null,"7","phoenix","heartbeat",{}]'],
        ['[null,"7","phoenix","phx_reply",{"status":"ok","response":{}}]'],
    ),
    Row(
        "a heartbeat with a join_ref of its own",
        ['["9","7","phoenix","heartbeat",{}]'],
        ['[null,"7","phoenix","phx_reply",{"status":"ok","response":{}}]'],
    ),
    Row(
        "another event on the socket's topic",
        ['[null,"7","phoenix","shout",{}]'],
        [f'[null,"7","phoenix","phx_reply",{UNMATCHED}]'],
    ),
    Row(
        "a join that no route matches",
        ['["5","5","nowhere","phx_join",{}]'],
        [f'[null,"5","nowhere","phx_reply",{UNMATCHED}]'],
    ),
    Row(
        "a join of one topic too many",
        ['["5","5","room:2","phx_join",{}]', '["6","6","room:3","phx_join",{}]'],
        [
            '["5","5","room:2","phx_reply",{"status":"ok","response":{}}]',
            f'["6","6","room:3","phx_reply",{TOO_MANY}]',
        ],
    ),
    Row("a join that is granted", [JOIN], [JOINED], joined=False),
    Row(
        "a join whose refs differ, and are numbers",
        ['[11,1,"room:1","phx_join",{}]'],
        ['[11,1,"room:1","phx_reply",{"status":"ok","response":{}}]'],
        joined=False,
    ),
    Row(
        "a join that is granted with an answer",
        ['["1","1","room:1","phx_join",{"answer":"yes"}]'],
        ['["1","1","room:1","phx_reply",{"status":"ok","response":{"answer":"yes"}}]'],
        joined=False,
    ),
    Row(
        "a join that is refused",
        ['["1","1","room:1","phx_join",{"do":"refuse"}]'],
        ['["1","1","room:1","phx_reply",{"status":"error","response":{"reason":"unauthorized"}}]'],
        joined=False,
    ),
    Row(
        "a join that raises",
        ['["1","1","room:1","phx_join",{"do":"crash"}]'],
        ['["1","1","room:1","phx_reply",{"status":"error","response":{"reason":"join crashed"}}]'],
        joined=False,
    ),
    Row(
        "a second join: the new answer, then the old close",
        ['["5","5","room:1","phx_join",{}]'],
        ['["5","5","room:1","phx_reply",{"status":"ok","response":{}}]', CLOSED],
    ),
    Row(
        "a join behind a leave: the channel ends, then another begins",
        ['["1","4","room:1","phx_leave",{}]', '["5","5","room:1","phx_join",{}]'],
        [
            '["1","4","room:1","phx_reply",{"status":"ok","response":{}}]',
            CLOSED,
            '["5","5","room:1","phx_reply",{"status":"ok","response":{}}]',
        ],
    ),
    Row(
        "a leave",
        ['["1","4","room:1","phx_leave",{}]'],
        ['["1","4","room:1","phx_reply",{"status":"ok","response":{}}]', CLOSED],
    ),
    Row(
        "a leave with a null join_ref: the answer has the channel's",
        ['[null,"4","room:1","phx_leave",{}]'],
        ['["1","4","room:1","phx_reply",{"status":"ok","response":{}}]', CLOSED],
    ),
    Row("a leave with a stale join_ref", ['["0","4","room:1","phx_leave",{}]']),
    Row(
        "a leave of what is not joined",
        ['["3","4","room:1","phx_leave",{}]'],
        ['["3","4","room:1","phx_reply",{"status":"ok","response":{}}]'],
        joined=False,
    ),
    Row(
        "a push",
        ['["1","2","room:1","echo",{"a":[1]}]'],
        ['["1","2","room:1","phx_reply",{"status":"ok","response":{"a":[1]}}]'],
    ),
    Row(
        "a push with a null join_ref: the answer has the channel's",
        ['[null,"2","room:1","echo",{}]'],
        ['["1","2","room:1","phx_reply",{"status":"ok","response":{}}]'],
    ),
    Row("a push with a stale join_ref", ['["0","2","room:1","echo",{}]']),
    Row("a push with a null ref wants no answer", ['["1",null,"room:1","echo",{}]']),
    Row(
        "a push on what is not joined",
        ['["1","2","room:1","echo",{}]'],
        [f'[null,"2","room:1","phx_reply",{UNMATCHED}]'],
        joined=False,
    ),
    Row(
        "a push with a status of the channel's own",
        ['["1","2","room:1","other",{}]'],
        ['["1","2","room:1","phx_reply",{"status":"maybe","response":{}}]'],
    ),
    Row(
        "a broadcast, null in both refs",
        ['["1","2","room:1","shout",{"a":1}]'],
        ['[null,null,"room:1","shout",{"a":1}]'],
    ),
    Row(
        "a push to the client, null in the second",
        ['["1","2","room:1","whisper",{"a":1}]'],
        [
            '["1",null,"room:1","whisper",{"a":1}]',
            '["1","2","room:1","phx_reply",{"status":"ok","response":{}}]',
        ],
    ),
    Row("a channel that stops", ['["1","2","room:1","stop silently",{}]'], [CLOSED]),
    Row(
        "a channel that stops with an answer",
        ['["1","2","room:1","stop",{}]'],
        ['["1","2","room:1","phx_reply",{"status":"ok","response":{"so":"long"}}]', CLOSED],
    ),
    Row("a channel that crashes", ['["1","2","room:1","crash",{}]'], [CRASHED]),
    Row("an event that the channel does not know", ['["1","2","room:1","unknown",{}]'], [CRASHED]),
    Row("what is reserved to the server", ['["1","2","room:1","phx_close",{}]']),
    Row("what is no message", ["[]", "nonsense"]),
]


def spelt(frame: str, version: str) -> str:
    """A frame of V2 as a client of this version sends it."""
    if version.startswith("2") or "," not in frame:
        return frame
    join_ref, ref, topic, event, payload = json.loads(frame)
    fields = {"topic": topic, "event": event, "payload": payload, "ref": ref}
    return json.dumps(fields | ({} if join_ref is None else {"join_ref": join_ref}))


def arrived(frame: str, version: str) -> tuple[Any, ...]:
    """A frame of V2 as a client of this version reads it."""
    envelope = read(frame.encode())
    join_ref = envelope.join_ref if version.startswith("2") else None
    return join_ref, envelope.ref, envelope.topic, envelope.event, envelope.payload


@pytest.fixture(params=["2.0.0", "1.0.0", None])
def version(request: pytest.FixtureRequest) -> str | None:
    """What the client says of its version; None: nothing."""
    named: str | None = request.param
    return named


@pytest.fixture
async def client(version: str | None) -> AsyncIterator[Client]:
    """A client of a node with rooms, two of which may be joined."""
    script = Script(
        on_join=lambda _topic, params, _socket: Joined(
            {"answer": params["answer"]} if "answer" in params else {}
        )
    )
    routes = [("room:*", script.room), ("hot:*", Hot)]
    async with (
        serving(routes, limits=Limits(channels=2)) as node,
        connect(node.endpoint, params={"vsn": version}) as client,
    ):
        yield client


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.what)
async def test_each_row_holds(client: Client, version: str | None, row: Row) -> None:
    """In every version, and the socket lives on."""
    spoken = version or "1.0.0"
    if row.joined:
        await client.send_text(spelt(JOIN, spoken))
        assert (await client.receive()).event == "phx_reply"
    for frame in row.sent:
        await client.send_text(spelt(frame, spoken))
    got = [
        (each.join_ref, each.ref, each.topic, each.event, each.payload)
        for each in await client.received()
    ]
    expected = [arrived(frame, spoken) for frame in row.got]
    if len({topic for _, _, topic, _, _ in expected}) > 1:  # joins run side by side
        got, expected = sorted(got, key=repr), sorted(expected, key=repr)
    assert got == expected
    await client.heartbeat()
