"""What a docstring says of each attribute, for pages that tell it elsewhere. Pure."""

import inspect
import re
from typing import Final

_HEAD: Final = "\n\nAttributes:\n"
_ATTRIBUTE: Final = re.compile(r"^    (\w+): (.+(?:\n {8,}\S.*)*)", re.MULTILINE)


def attributes_of(doc: str) -> dict[str, str]:
    """The text of each attribute, on one line, by its name."""
    _, _, told = inspect.cleandoc(doc).partition(_HEAD)
    return {match[1]: " ".join(match[2].split()) for match in _ATTRIBUTE.finditer(told)}


def without_attributes(doc: str) -> str:
    """What the docstring says before it comes to its attributes."""
    return inspect.cleandoc(doc).partition(_HEAD)[0]
