"""The names of things: what may stand in an id, in a person's name, in text that people typed.

The database's CHECKs say the same of its columns. The patterns are spelt so that Python, JSON
Schema and PostgreSQL read them alike.
"""

import re
from typing import Final

# Of a sale, a listing, a business line; generated ids are of this form, too.
ID_PATTERN: Final = "[a-z0-9][a-z0-9_-]{0,62}"
PERSON_PATTERN: Final = "[A-Za-z0-9][A-Za-z0-9_.@-]{0,62}"
# A topic that callers may name: what serves it, then an id. An event that they may send to one.
TOPIC_PATTERN: Final = f"[a-z]{{1,16}}:{ID_PATTERN}"
EVENT_PATTERN: Final = "[a-z][a-z0-9_]{0,62}"

_ID: Final = re.compile(ID_PATTERN, re.ASCII)
_PERSON: Final = re.compile(PERSON_PATTERN, re.ASCII)
_TOPIC: Final = re.compile(TOPIC_PATTERN, re.ASCII)
_EVENT: Final = re.compile(EVENT_PATTERN, re.ASCII)


def is_id(value: object) -> bool:
    """Whether it can be the id of a sale, a listing or a business line."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def is_person(value: object) -> bool:
    """Whether it can be the name of a person."""
    return isinstance(value, str) and _PERSON.fullmatch(value) is not None


def is_topic(value: object) -> bool:
    """Whether it can be a topic that callers name."""
    return isinstance(value, str) and _TOPIC.fullmatch(value) is not None


def is_event(value: object) -> bool:
    """Whether it can be the name of an event that callers send."""
    return isinstance(value, str) and _EVENT.fullmatch(value) is not None


def is_text(value: object, most: int) -> bool:
    """Whether it is text of 1 to `most` characters that can be stored, shown and logged.

    That is, without control characters and halves of surrogate pairs.
    """
    return isinstance(value, str) and 1 <= len(value) <= most and value.isprintable()
