"""The members of one topic on this node, as the hub keeps them. For the hub to change."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from channels.channel import Body
from channels.delivery import Delivery, Policy
from channels.form import Form
from channels.outbox import Outbox, Piece

OnOut: TypeAlias = Callable[[str, Body, bool], None]
"""Takes event and payload of an intercepted message, and whether it is vital. Must not raise."""


@dataclass(frozen=True, slots=True)
class Interception:
    """What a member wants to see before its client does.

    Attributes:
        events: their names.
        on_out: called with each, instead of its being sent.
    """

    events: frozenset[str]
    on_out: OnOut


@dataclass(frozen=True, slots=True)
class Told:
    """One message, in the form of one group.

    Attributes:
        broadcast: as V2 encoded it.
        frame: as it goes out.
        position: its place, where it has one.
        vital: it may not be missed.
    """

    broadcast: bytes
    frame: bytes
    position: int | None
    vital: bool


@dataclass(frozen=True, slots=True)
class Run:
    """Messages of one group, one after another.

    Attributes:
        whole: their frames; a `Piece` where they may be dropped.
        count: how many they are.
        vital: they may not be missed.
        latest: each of them, where the newest about a thing replaces older ones; else empty.
    """

    whole: bytes
    count: int
    vital: bool
    latest: Sequence[Piece] = ()


class Subscription:
    """One client's place among the members of a topic.

    Attributes:
        topic: the whole topic.
        group: where it stands, or waits.
        outbox: where its messages go.
        interception: what it wants to see first; None as a rule.
        held: while the join is under way, what was published.
        after: the position at and below which messages are not for this member.
        lost: more was published during the join than may be held.
        over: it ended.
    """

    __slots__ = ("after", "group", "held", "interception", "lost", "outbox", "over", "topic")

    def __init__(
        self, topic: str, group: "Group", outbox: Outbox, interception: Interception | None
    ) -> None:
        self.topic = topic
        self.group = group
        self.outbox = outbox
        self.interception = interception
        self.held: list[Told] | None = []
        self.after = 0
        self.lost = False
        self.over = False


class Group:
    """The members of one topic that are written to in one form.

    Attributes:
        form: that form.
        delivery: of the topic.
        members: ordinary ones.
        waiting: those whose messages pass a filter first.
        shared: how many of the members are in other groups too.
        run: messages for the members that are not in their outboxes yet.
        run_bytes: their frames' bytes.
        run_vital: they may not be missed; all of a run are alike.
    """

    __slots__ = (
        "delivery",
        "form",
        "members",
        "run",
        "run_bytes",
        "run_vital",
        "shared",
        "waiting",
    )

    def __init__(self, form: Form, delivery: Delivery) -> None:
        self.form = form
        self.delivery = delivery
        self.members: dict[Subscription, Outbox] = {}
        self.waiting: dict[Subscription, None] = {}
        self.shared = 0
        self.run: list[bytes] = []
        self.run_bytes = 0
        self.run_vital = False


def take_run(group: Group) -> Run:
    """The run of a group, which has none then."""
    frames, vital = group.run, group.run_vital
    group.run, group.run_bytes = [], 0
    count = len(frames)
    whole = frames[0] if count == 1 else b"".join(frames)
    if vital:
        return Run(whole, count, vital=True)
    if group.delivery.policy is not Policy.LATEST:
        return Run(Piece.of(whole, count), count, vital=False)
    pieces = [frame for frame in frames if isinstance(frame, Piece)]
    return Run(Piece.of(whole, count), count, vital=False, latest=pieces)


def place(outbox: Outbox, group: Group) -> None:
    """An outbox gets messages of one group more."""
    before = outbox.groups
    outbox.groups = (*before, group)
    if before:
        group.shared += 1
    if len(before) == 1:
        before[0].shared += 1


def unplace(outbox: Outbox, group: Group) -> None:
    """The other way."""
    rest = list(outbox.groups)
    rest.remove(group)
    outbox.groups = tuple(rest)
    if rest:
        group.shared -= 1
    if len(rest) == 1:
        rest[0].shared -= 1
