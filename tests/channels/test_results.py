"""A handler that returns what it may not is told what it may."""

from collections.abc import Mapping

import pytest

from actors import System
from channels.errors import UnknownEvent
from channels.testing import connect, serving
from tests.channels.rooms import Hot, Script

Crashes = list[BaseException]


@pytest.mark.parametrize(
    ("topic", "join", "push", "text"),
    [
        (
            "room:1",
            "nonsense",
            None,
            "Room.join must return one of: Joined, JoinRefused. It returned: {'an': 'answer'}",
        ),
        (
            "room:1",
            "",
            ("nonsense", {}),
            "Room.handle_in must return one of: Reply, NoReply, Stop. It returned: {'an': 'oops'}",
        ),
        (
            "hot:1",
            "",
            ("nonsense", {}),
            "Hot.handle_in_nowait must return one of: Reply, NoReply, Stop. It returned: None",
        ),
        (
            "room:1",
            "",
            ("notify", {"do": "nonsense"}),
            "Room.handle_info must return one of: NoReply, Stop, None. It returned: 'an answer'",
        ),
    ],
)
async def test_an_illegal_result_is_shown_with_the_legal_ones(
    topic: str, join: str, push: tuple[str, object] | None, text: str
) -> None:
    """In the crash that it is."""
    crashes = await _crashes(topic, join, push)
    assert [text] == [str(crash) for crash in crashes]


async def test_an_unknown_event_names_itself() -> None:
    """As in Phoenix, it crashes the channel."""
    (crash,) = await _crashes("room:1", "", ("unheard of", {}))
    assert isinstance(crash, UnknownEvent)
    assert str(crash) == "no handler for the event 'unheard of'"


async def _crashes(topic: str, join: str, push: tuple[str, object] | None) -> Crashes:
    """What crashed channels, as their supervisor tells it."""
    crashes: Crashes = []

    def emit(name: str, fields: Mapping[str, object]) -> None:
        if name == "actor.crashed":
            assert isinstance(fields["error"], BaseException)
            crashes.append(fields["error"])

    script = Script()
    routes = [("room:*", script.room), ("hot:*", Hot)]
    async with serving(routes, system=System(emit)) as node, connect(node.endpoint) as client:
        await client.send_join(topic, {"do": join})
        if push is not None:
            await client.push(topic, *push)
        await client.received()
    return crashes
