"""The state table, row by row, and the memberships of one socket."""

from itertools import product

import pytest

from channels.protocol import DECISIONS, Act, Kind, Phase, SocketState, Standing
from channels.serializer import Envelope, Ref

# What came in, its standing, and the act for a topic that is: absent, joining, joined, leaving.
TABLE = """
heartbeat current  beat    beat    beat    beat
heartbeat stale    beat    beat    beat    beat
renewal   current  renew   renew   renew   renew
renewal   stale    renew   renew   renew   renew
access    current  refuse  hold    renew   ignore
access    stale    refuse  ignore  ignore  ignore
join      current  admit   replace replace replace
join      stale    admit   replace replace replace
leave     current  confirm hold    leave   confirm
leave     stale    confirm ignore  ignore  ignore
push      current  refuse  hold    deliver ignore
push      stale    refuse  ignore  ignore  ignore
reserved  current  offend  offend  offend  offend
reserved  stale    offend  offend  offend  offend
"""

ROWS = [
    (Kind[kind.upper()], Standing[standing.upper()], phase, Act[act.upper()])
    for kind, standing, *acts in (line.split() for line in TABLE.split("\n") if line)
    for phase, act in zip(Phase, acts, strict=True)
]

EVENTS = {
    Kind.HEARTBEAT: "heartbeat",
    Kind.RENEWAL: "access_token",
    Kind.ACCESS: "access_token",
    Kind.JOIN: "phx_join",
    Kind.LEAVE: "phx_leave",
    Kind.PUSH: "shout",
    Kind.RESERVED: "phx_close",
}


def state_in(phase: Phase, topic: str = "room:1", join_ref: Ref = "1") -> SocketState:
    """A socket with one topic in a phase."""
    state = SocketState(channels_max=2, held_max=2)
    if phase is not Phase.ABSENT:
        membership = state.begin(Envelope(join_ref, "1", topic, "phx_join", {}))
        if phase is not Phase.JOINING:
            state.answered(membership)
        if phase is Phase.LEAVING:
            state.leave(membership, None)
    return state


def test_the_table_is_whole() -> None:
    """Every case has exactly one act."""
    assert set(product(Kind, Phase, Standing)) == set(DECISIONS)
    assert len(ROWS) == len(DECISIONS)


@pytest.mark.parametrize(("kind", "standing", "phase", "act"), ROWS)
def test_each_case_has_its_act(kind: Kind, standing: Standing, phase: Phase, act: Act) -> None:
    """A frame is decided by what it is, whose it is and where its topic stands."""
    topic = "phoenix" if kind in {Kind.HEARTBEAT, Kind.RENEWAL} else "room:1"
    state = state_in(phase, topic)
    join_ref = "1" if standing is Standing.CURRENT else "0"
    assert act == state.decide(Envelope(join_ref, "9", topic, EVENTS[kind], {}))[0]


@pytest.mark.parametrize(
    ("joined_with", "sent", "standing_act"),
    [
        ("1", None, Act.DELIVER),
        ("1", "1", Act.DELIVER),
        ("1", "2", Act.IGNORE),
        ("1", 1, Act.IGNORE),
        (7, 7, Act.DELIVER),
        (None, None, Act.DELIVER),
        (None, "1", Act.DELIVER),
    ],
)
def test_a_null_join_ref_is_never_stale(joined_with: Ref, sent: Ref, standing_act: Act) -> None:
    """Only two different join_refs make a frame stale."""
    state = state_in(Phase.JOINED, join_ref=joined_with)
    assert standing_act == state.decide(Envelope(sent, "9", "room:1", "shout", {}))[0]


def test_other_events_on_the_socket_topic_are_pushes() -> None:
    """Only the heartbeat and a new token are special."""
    state = state_in(Phase.ABSENT)
    assert state.decide(Envelope(None, "1", "phoenix", "shout", {})) == (Act.REFUSE, None)
    assert state.decide(Envelope(None, "1", "room:1", "heartbeat", {})) == (Act.REFUSE, None)


def test_held_frames_come_back_in_order_when_the_join_is_answered() -> None:
    """What waits for a join is bounded and keeps its order."""
    state = state_in(Phase.JOINING)
    membership = state.memberships["room:1"]
    frames = [Envelope("1", str(n), "room:1", "shout", {}) for n in range(3)]
    assert [state.hold(membership, frame) for frame in frames] == [True, True, False]
    assert state.answered(membership) == frames[:2]
    assert membership.held == []


def test_held_frames_come_back_when_the_join_is_refused() -> None:
    """They are then frames of a topic that is not joined."""
    state = state_in(Phase.JOINING)
    membership = state.memberships["room:1"]
    frame = Envelope("1", "2", "room:1", "shout", {})
    state.hold(membership, frame)
    assert state.end(membership) == [frame]
    assert state.memberships == {}


@pytest.mark.parametrize(
    ("phase", "closes"), [(Phase.JOINING, ["1"]), (Phase.JOINED, ["1"]), (Phase.LEAVING, [])]
)
def test_a_second_join_closes_the_first_unless_it_ends_anyway(
    phase: Phase, closes: list[Ref]
) -> None:
    """The one that gives way says nothing itself, or is the only one to say it."""
    state = state_in(phase)
    first = state.memberships["room:1"]
    second = state.begin(Envelope("5", "5", "room:1", "phx_join", {}))
    assert (first.replaced, second.closes) == (bool(closes), closes)
    assert (first.phase, state.memberships) == (Phase.LEAVING, {"room:1": second})


def test_a_third_join_closes_both_that_gave_way() -> None:
    """What the second had to close is not forgotten when it gives way itself."""
    state = state_in(Phase.JOINED)
    second = state.begin(Envelope("5", "5", "room:1", "phx_join", {}))
    third = state.begin(Envelope("6", "6", "room:1", "phx_join", {}))
    assert (second.closes, third.closes) == ([], ["1", "5"])


def test_the_end_of_a_replaced_membership_leaves_its_successor() -> None:
    """A topic belongs to its last join."""
    state = state_in(Phase.JOINED)
    first = state.memberships["room:1"]
    second = state.begin(Envelope("5", "5", "room:1", "phx_join", {}))
    state.end(first)
    assert state.memberships == {"room:1": second}


def test_a_socket_has_room_for_so_many_topics() -> None:
    """Topics that are being joined or left count."""
    state = state_in(Phase.LEAVING)
    assert state.has_room()
    state.begin(Envelope("2", "2", "room:2", "phx_join", {}))
    assert not state.has_room()
