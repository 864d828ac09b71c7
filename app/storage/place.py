"""How a server is named to people: where it is, never who connects or with what password."""

from urllib.parse import urlsplit


def place_of(url: str) -> str:
    """Where a PostgreSQL or Redis URL points, `host:port/database`."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.hostname or ''}{port}{parts.path}"
