"""The cursor: a place in the event log, and the one thing every edge of Agio hands out.

It is a cursor as every topic's history has them. Positions count events in commit order. A database
that was made anew, or put back to an old backup, has another epoch, so a cursor from before is told
apart from one that is merely old, and its holder is given a fresh snapshot instead of a silent gap.
"""

from channels.cursor import Cursor, parse_cursor

__all__ = ["Cursor", "parse_cursor"]
