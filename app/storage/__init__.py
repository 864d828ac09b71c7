"""Where facts are kept: the annex, PostgreSQL, Redis, migrations, the servers Agio brings along."""

from app.storage.annex import Annex
from app.storage.connections import ReadConnection, Row, SessionConnection, WriteConnection
from app.storage.database import Database
from app.storage.errors import AnnexDown, MigrationRefused, StartupError, StorageDown
from app.storage.migrations import migrate
from app.storage.named_sql import load_queries

__all__ = [
    "Annex",
    "AnnexDown",
    "Database",
    "MigrationRefused",
    "ReadConnection",
    "Row",
    "SessionConnection",
    "StartupError",
    "StorageDown",
    "WriteConnection",
    "load_queries",
    "migrate",
]
