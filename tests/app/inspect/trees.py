"""Trees to look at, spelt briefly."""

from dataclasses import fields, replace
from typing import Any

from actors.mailbox_statistics import MailboxStatistics
from actors.tree import Vitals
from app.inspect.model import Snapshot

_EMPTY = MailboxStatistics(**{field.name: 0 for field in fields(MailboxStatistics)})


def supervisor(name: str, detail: str, *children: Vitals, **known: Any) -> Vitals:
    """A supervisor that has run for five minutes."""
    return place(name, kind="supervisor", detail=detail, children=children, **known)


def actor(name: str, *, mailbox: dict[str, int] | None = None, **known: Any) -> Vitals:
    """An actor that has run for five minutes, with room for 64 messages."""
    told = replace(_EMPTY, capacity=64, **(mailbox or {}))
    return place(name, kind="actor", mailbox=told, **known)


def place(name: str, **known: Any) -> Vitals:
    """Something else that has run for five minutes."""
    usual: dict[str, Any] = {
        "kind": "task",
        "detail": "",
        "state": "running",
        "age_s": 300.0,
        "restarts": 0,
        "mailbox": None,
        "children": (),
        "hidden": 0,
    }
    return Vitals(name, **{**usual, **known})


def snapshot(tree: Vitals, *, path: str = "", uptime_s: float = 300.0) -> Snapshot:
    """This tree as a node's answer."""
    return Snapshot("http://127.0.0.1:4000", path or tree.name, uptime_s, tree)


def paths(tree: Vitals) -> list[str]:
    """The path of every place that is listed."""
    return [path for path, _ in tree.walk()]
