"""Which pages may connect: the `Origin` that a browser adds to a handshake, and whom we let in.

Pure. A browser lets any page open a socket anywhere, and says which page it was; no page can lie
about that. Where there is no `Origin` there was no browser, and nobody to protect from a page.
"""

import re
from dataclasses import dataclass
from typing import Final

_HOST: Final = r"(\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?)"
_SCHEME: Final = r"([a-z][a-z0-9+.-]*):"
_PORT: Final = r"(?::([0-9]{1,5}))?"
_ORIGIN: Final = re.compile(f"{_SCHEME}//{_HOST}{_PORT}", re.ASCII)
_PATTERN: Final = re.compile(rf"(?:(?:{_SCHEME})?//)?(\*\.)?{_HOST}{_PORT}/?", re.ASCII)
_HOST_AND_PORT: Final = re.compile(_HOST + _PORT, re.ASCII)
_HOST_LINE: Final = re.compile(rb"\r\nhost:[ \t]*([^\r\n]*?)[ \t]*\r\n", re.IGNORECASE)

_PORTS: Final = {"http": 80, "https": 443}
_EVERYONE: Final = "*"


@dataclass(frozen=True, slots=True)
class Pattern:
    """One origin that is let in, or several.

    Attributes:
        scheme: such as `https`; None for any.
        host: in lower case.
        below: the hosts below it are let in too.
        port: None for any.
    """

    scheme: str | None
    host: str
    below: bool
    port: int | None

    def matches(self, scheme: str, host: str, port: int | None) -> bool:
        """Whether this origin is meant."""
        return (
            self.scheme in {None, scheme}
            and self.port in {None, port}
            and (host == self.host or (self.below and host.endswith(f".{self.host}")))
        )


@dataclass(frozen=True, slots=True)
class Origins:
    """The pages that may connect. By default those of the host that the client connects to.

    Attributes:
        patterns: pages let in instead; None: see above.
        everyone: all pages are let in.
    """

    patterns: tuple[Pattern, ...] | None = None
    everyone: bool = False

    def allow(self, origin: str | None, host: str) -> bool:
        """Whether a handshake is let in.

        Args:
            origin: its `Origin` header; None if it has none.
            host: its `Host` header.
        """
        if origin is None or self.everyone:
            return True
        read = _ORIGIN.fullmatch(origin.lower())
        if read is None:  # `null`, for one: a page in a sandbox
            return False
        scheme, name, port = read.groups()
        if self.patterns is None:
            asked = _HOST_AND_PORT.fullmatch(host.lower())
            return asked is not None and asked[1] == name
        number = int(port) if port else _PORTS.get(scheme)
        return any(pattern.matches(scheme, name, number) for pattern in self.patterns)


def parse_origins(text: str) -> Origins | None:
    """Origins from a list with commas; None if it is none.

    Each is `scheme://host:port`, of which only the host must be there. Without a scheme any will
    do, and without both scheme and port any port. `*.` before the host means it and all below it;
    `*` alone means everyone.
    """
    names = [name.strip().lower() for name in text.split(",")]
    if names == [_EVERYONE]:
        return Origins(everyone=True)
    patterns = [_pattern(name) for name in names]
    known = tuple(pattern for pattern in patterns if pattern is not None)
    return Origins(known) if len(known) == len(names) else None


def _pattern(name: str) -> Pattern | None:
    read = _PATTERN.fullmatch(name)
    if read is None:
        return None
    scheme, star, host, port = read.groups()
    number = int(port) if port else _PORTS.get(scheme or "")
    return Pattern(scheme, host, bool(star), number)
