"""Where a browser on this machine finds a server that listens on an address. Pure."""

from typing import Final

# Where a machine finds itself, for addresses that stand for all of its own.
_OF_ITSELF: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read, not bound


def local_url(host: str, port: int) -> str:
    """The URL, such as `http://127.0.0.1:4000`."""
    found = _OF_ITSELF.get(host, host)
    return f"http://[{found}]:{port}" if ":" in found else f"http://{found}:{port}"
