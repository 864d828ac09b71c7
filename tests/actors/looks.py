"""Looking at a supervisor from outside, as a test reads it."""

from actors import Vitals
from actors.spec import Subject


def children(supervisor: Subject) -> tuple[Vitals, ...]:
    """Its children, in the order of start."""
    listed, hidden = supervisor.census(10_000)
    assert hidden == 0, "a test has no more than that"
    return listed


def states(supervisor: Subject) -> str:
    """Its children, each with its state: `a running, b ended`."""
    return ", ".join(f"{child.name} {child.state}" for child in children(supervisor))
