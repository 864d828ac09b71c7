"""What a tree looks like at one moment: every supervisor and actor in it, as plain data. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from actors.mailbox_statistics import MailboxStatistics


@dataclass(frozen=True, slots=True)
class Vitals:
    """One place in the tree, now.

    Attributes:
        name: its name among its siblings.
        kind: "supervisor", "actor", or "task" for whatever else is supervised.
        detail: of a supervisor, its strategy, such as "rest_for_one" or "dynamic"; of an actor, its
            class.
        state: "starting", "running", "stopping", "waiting" for its restart, or "ended" for good.
        age_s: seconds since it was last ready; 0 where it does not live.
        restarts: how often it was started again since its supervisor began.
        mailbox: of an actor, its mailbox.
        children: what lives below it, in the order of start.
        hidden: children that are left out of `children` because there are too many to list.
    """

    name: str
    kind: str
    detail: str
    state: str
    age_s: float
    restarts: int
    mailbox: MailboxStatistics | None
    children: tuple["Vitals", ...]
    hidden: int

    def walk(self, path: str = "") -> Iterator[tuple[str, "Vitals"]]:
        """This place and all below it, each with its path: names joined by slashes."""
        here = f"{path}/{self.name}" if path else self.name
        yield here, self
        for child in self.children:
            yield from child.walk(here)
