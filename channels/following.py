"""The topics with history that a node has members of, and who waits to hear of one."""

import trio

from channels.history import History, Question
from channels.past import Past
from channels.recovery_state import TopicState


class Waiter:
    """Somebody who wants to know what a history keeps.

    Attributes:
        after: above which position; None for the head alone.
        past: what was read; None where that failed.
        done: set when it is over.
    """

    __slots__ = ("after", "done", "past")

    def __init__(self, after: int | None) -> None:
        self.after = after
        self.past: Past | None = None
        self.done = trio.Event()


class Followed:
    """A topic with members here.

    Attributes:
        history: its bounds.
        members: how many there are, those still joining included.
        state: how far they were given everything.
        waiters: those who wait for the next read.
    """

    __slots__ = ("history", "members", "state", "waiters")

    def __init__(self, history: History) -> None:
        self.history = history
        self.members = 0
        self.state = TopicState()
        self.waiters: list[Waiter] = []


class Reading:
    """One read of one topic, which serves all who wait when it begins.

    Attributes:
        topic: whose history.
        followed: what is known of it.
        asked: what was known when the read began.
        question: to the store.
        waiters: those whom it serves.
    """

    __slots__ = ("asked", "followed", "question", "topic", "waiters")

    def __init__(self, topic: str, followed: Followed) -> None:
        self.topic = topic
        self.followed = followed
        self.asked = followed.state.ask()
        self.waiters, followed.waiters = followed.waiters, []
        after = [waiter.after for waiter in self.waiters if waiter.after is not None]
        if self.asked.cursor is not None:
            after.append(self.asked.cursor.position)
        self.question = Question(topic, followed.history, min(after, default=None))

    def answer(self, past: Past | None) -> None:
        """Tell all who wait; None where it could not be read."""
        for waiter in self.waiters:
            waiter.past = past
            waiter.done.set()

    def put_back(self) -> None:
        """It did not come to its end: the next one serves those who wait."""
        self.followed.waiters[:0] = self.waiters
