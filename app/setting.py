"""What a row of the table of settings is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

PREFIX: Final = "AGIO_"


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table.

    Attributes:
        name: the environment variable.
        legal: which values are, to complete "… is not".
        parse: the value that a text spells, or None where it is not legal.
        reason: why it can be set and why the default is what it is.
        secret: whether the value is never shown, and may come from a file.
    """

    name: str
    legal: str
    parse: Callable[[str], object | None]
    reason: str
    secret: bool = False

    @property
    def field(self) -> str:
        """The name of the field of `Settings`."""
        return self.name.removeprefix(PREFIX).lower()
