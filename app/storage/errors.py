"""How storage fails: one family of exceptions that edges show as `unavailable`."""


class StorageDown(Exception):  # noqa: N818 - a state of the world, as the callers speak of it
    """PostgreSQL, Redis or the way to them failed; what the work did is then not known.

    The message names a place as `host:port/database` and never a password; the driver's own
    exception is chained.
    """


class AnnexDown(StorageDown):
    """The asyncio thread is not running, or ended while the work was under way."""


class ServerEnded(StorageDown):
    """A server that we run ended by itself."""


class StartupError(Exception):
    """Agio cannot start, for the reason this one line gives to the person who started it."""


class MigrationRefused(StartupError):  # noqa: N818 - it says who did what
    """The database's schema is not one that this code may go on from."""
