"""What became of the messages of one mailbox, or of all in a tree, as numbers. Pure."""

from dataclasses import dataclass


@dataclass(slots=True)
class Tally:
    """Messages that never got to an actor, by why; of one mailbox, or of all in a tree.

    Attributes:
        dropped: lost to the overflow policy.
        replaced: gave way to a later one of their key.
        refused: their senders were told that there is no room.
        lost: nobody will read them, because the reader is gone.
        quarantined: set aside because they crash the reader.
    """

    dropped: int = 0
    replaced: int = 0
    refused: int = 0
    lost: int = 0
    quarantined: int = 0


@dataclass(frozen=True, slots=True)
class MailboxStatistics:
    """A mailbox, now. Every message ever offered is in one of the last seven numbers.

    Attributes:
        capacity: the most messages that may wait.
        peak: the most that did wait at one time.
        writers_waiting: tasks waiting for room; their messages are not counted yet.
        signals_waiting: signals the reader has not heeded; they are no messages.
        waiting: messages the reader has not taken.
        taken: messages the reader took and did not put back.
        dropped: messages lost to the overflow policy.
        replaced: messages that gave way to a later one of their key.
        refused: messages whose sender was told that there is no room.
        lost: messages that nobody will read, because the reader is gone.
        quarantined: messages set aside because they crash the reader.
    """

    capacity: int
    peak: int
    writers_waiting: int
    signals_waiting: int
    waiting: int
    taken: int
    dropped: int
    replaced: int
    refused: int
    lost: int
    quarantined: int
