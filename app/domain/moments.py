"""Moments as they are written everywhere on the wire. Pure."""

from datetime import UTC, datetime


def moment(when: datetime) -> str:
    """RFC 3339 in UTC, to the microsecond."""
    return when.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
