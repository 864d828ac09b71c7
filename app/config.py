"""Settings: typed, from the environment, each one row of `TABLE` with its default and its reason.

Everything that is wrong is told in one line that names the variable, what it says (unless it is
secret) and what is legal. A variable that starts with `AGIO_` and is no setting is refused: a
mistyped name must not pass for a default. A secret can also be given as the path of a file, in
`<NAME>_FILE`. `docs/settings.md` is printed from the table by `agio settings`.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from app import limit_settings
from app.identity.tokens import SECRET_BYTES_MIN
from app.limit_settings import DEFAULTS
from app.limits import (
    RESERVATION_S,
)
from app.setting import PREFIX, Setting
from app.storage.errors import StartupError
from app.storage.limits import (
    POSTGRES_POOL_SIZE,
)
from channels.client_address import Network
from channels.client_limits import Limit
from channels.origin import Origins, parse_origins

# What a variable ends in that names the file of a secret.
FILE_SUFFIX: Final = "_FILE"

# A secret is a URL or a key. A file larger than this is another file.
_SECRET_FILE_BYTES_MAX: Final = 64 * 1024

# How much of a wrong value a message repeats: enough to recognise it.
_SHOWN_CHARACTERS_MAX: Final = 80


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator decides. Each field is the setting of the same name in capitals.

    Attributes:
        database_url: PostgreSQL, as the role that serves; None: `agio up` brings its own.
        database_owner_url: the same database, as the role that migrates; None: the one that serves.
        redis_url: Redis or Valkey; None: `agio up` brings its own, `agio serve` runs alone.
        host: the address to listen on.
        port: the port to listen on; 0 takes a free one.
        state_dir: where `agio up` keeps its servers' data and its secrets.
        token_secret: signs and verifies tokens; None: `agio up` makes one and keeps it.
        origins: the pages that may open a socket; None: those of the host they connect to.
        bench_rooms: whether the load rooms `bench:<n>` are open.
        log_level: the least serious level that is logged: debug, info, warning or error.
        reservation_seconds: how long stock is held for a payment without an outcome.
        pool_size: connections to PostgreSQL.
        drain_seconds: how long clients are given to leave at a stop.
        limit_connections: and the others: see `ClientLimits`, which has them all.
        trusted_proxies: whose word for a client's address is taken; None: nobody's.
    """

    database_url: str | None = field(default=None, repr=False)
    database_owner_url: str | None = field(default=None, repr=False)
    redis_url: str | None = field(default=None, repr=False)
    host: str = "127.0.0.1"
    port: int = 4000
    state_dir: Path = Path(".agio")
    token_secret: str | None = field(default=None, repr=False)
    origins: Origins | None = None
    bench_rooms: bool = False
    log_level: str = "info"
    reservation_seconds: int = int(RESERVATION_S)
    pool_size: int = POSTGRES_POOL_SIZE
    drain_seconds: int = 2
    limit_connections: Limit = DEFAULTS.connections
    limit_connections_per_address: Limit = DEFAULTS.connections_per_address
    limit_connections_per_user: Limit = DEFAULTS.connections_per_user
    limit_topics: Limit = DEFAULTS.topics
    limit_message_bytes: Limit = DEFAULTS.message_bytes
    limit_messages: Limit = DEFAULTS.messages
    limit_bytes: Limit = DEFAULTS.bytes
    limit_joins: Limit = DEFAULTS.joins
    limit_joins_per_node: Limit = DEFAULTS.joins_per_node
    limit_failed_joins: Limit = DEFAULTS.failed_joins
    trusted_proxies: tuple[Network, ...] | None = None


def _whole(least: int, most: int) -> Callable[[str], int | None]:
    def parse(text: str) -> int | None:
        value = int(text) if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) else -1
        return value if least <= value <= most else None

    return parse


def _one_of(values: Mapping[str, object]) -> Callable[[str], object | None]:
    return lambda text: values.get(text.lower())


def _url(*schemes: str) -> Callable[[str], str | None]:
    def parse(text: str) -> str | None:
        try:
            parts = urlsplit(text)
            is_legal = parts.scheme in schemes and parts.port != 0
        except ValueError:
            return None
        return text if is_legal and (parts.netloc or parts.path) else None

    return parse


def _host(text: str) -> str | None:
    return text if re.fullmatch(r"[A-Za-z0-9.:_-]{1,253}", text, re.ASCII) else None


def _path(text: str) -> Path | None:
    return None if "\0" in text else Path(text).expanduser()


def _token_secret(text: str) -> str | None:
    return text if len(text.encode()) >= SECRET_BYTES_MIN else None


TABLE: Final = (
    Setting(
        "AGIO_DATABASE_URL",
        "a URL such as postgresql://user:password@host:5432/database",
        _url("postgres", "postgresql"),
        "The one home of every fact. `agio serve` and `agio ledger check` need it; `agio up` "
        "brings its own where it is not set. Let its role be a member of `agio_server` and of "
        "nothing else: what is recorded it can then neither change nor delete.",
        secret=True,
    ),
    Setting(
        "AGIO_DATABASE_OWNER_URL",
        "a URL such as postgresql://owner:password@host:5432/database",
        _url("postgres", "postgresql"),
        "The same database, as the role that owns its tables: `agio migrate` and `agio up` migrate "
        "as this one, and nothing else uses it. Not set: AGIO_DATABASE_URL. A server that runs as "
        "the owner, who could switch triggers off, says so at its start (`ledger.exposed`).",
        secret=True,
    ),
    Setting(
        "AGIO_REDIS_URL",
        "a URL such as redis://:password@host:6379/0, rediss://… or unix:///path",
        _url("redis", "rediss", "unix"),
        "Carries messages between nodes and never the only copy of a fact. Of a cluster any node "
        "will do: that it is one is found out. `agio up` brings a Valkey of its own where it is "
        "not set; `agio serve` is then a single node.",
        secret=True,
    ),
    Setting(
        "AGIO_HOST",
        "an address or a host name of this machine",
        _host,
        "Where to listen. Only this machine, unless told otherwise: in a container it is 0.0.0.0.",
    ),
    Setting(
        "AGIO_PORT",
        "a port from 0 to 65535 (0 takes a free one)",
        _whole(0, 65_535),
        "The one port of everything: REST, the socket, health and metrics.",
    ),
    Setting(
        "AGIO_STATE_DIR",
        "a path",
        _path,
        "Where `agio up` keeps its servers' data and its secrets between starts. Beside the "
        "checkout, so that removing it begins anew.",
    ),
    Setting(
        "AGIO_TOKEN_SECRET",
        f"at least {SECRET_BYTES_MIN} bytes",
        _token_secret,
        "Signs and verifies every token; all nodes share it. An HS256 key is as long as its hash. "
        "`agio serve` needs it; `agio up` makes one and keeps it in the state folder.",
        secret=True,
    ),
    Setting(
        "AGIO_ORIGINS",
        "origins with commas between them, such as https://shop.example.com or //*.example.com, "
        "or * for all",
        parse_origins,
        "The pages whose scripts may open a socket. Not set: those of the host they connect to, on "
        "any port. Without scheme any scheme is meant, and any port; `*.` means a host and all "
        "below it. Only browsers send an `Origin`: what sends none is let in.",
    ),
    Setting(
        "AGIO_BENCH_ROOMS",
        "1 or 0",
        _one_of({"1": True, "0": False, "true": True, "false": False}),
        "Opens topics `bench:<n>`, where anyone with a token broadcasts to everyone. For load "
        "tests, so off by default; `make up` opens them.",
    ),
    Setting(
        "AGIO_LOG_LEVEL",
        "debug, info, warning or error",
        _one_of({level: level for level in ("debug", "info", "warning", "error")}),
        "The least serious level that is logged. `info` tells a node's life; `debug` adds a line "
        "for each request and each actor.",
    ),
    Setting(
        "AGIO_RESERVATION_SECONDS",
        "whole seconds from 1 to 86400",
        _whole(1, 86_400),
        "How long stock is held for a purchase whose payment has no outcome. Longer than a "
        "provider's worst answer, short enough that a lost one does not empty the shelf.",
    ),
    Setting(
        "AGIO_POOL_SIZE",
        "a number from 2 to 200",
        _whole(2, 200),
        "Connections to PostgreSQL from one node; each worker is one. 16 saturate a core, 64 bring "
        "nothing more (`make bench-annex`), and six nodes still fit the server's usual 100.",
    ),
    Setting(
        "AGIO_DRAIN_SECONDS",
        "whole seconds from 0 to 300",
        _whole(0, 300),
        "How long clients are given to leave at a stop, before the rest is cut. With 2 everything "
        "ends within 5 s of Ctrl-C; behind a load balancer give it the balancer's own delay.",
    ),
    *limit_settings.ROWS,
)

BY_NAME: Final = {setting.name: setting for setting in TABLE}
_KNOWN: Final = {
    *BY_NAME,
    *(setting.name + FILE_SUFFIX for setting in TABLE if setting.secret),
}


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings that this environment gives.

    A variable that is empty counts as not set.

    Raises:
        StartupError: the first thing that is wrong, in one line.
    """
    given = {
        name: value for name, value in environment.items() if name.startswith(PREFIX) and value
    }
    for name in sorted(given.keys() - _KNOWN):
        near = difflib.get_close_matches(name, _KNOWN, n=1)
        hint = f"did you mean {near[0]}?" if near else "`agio settings` lists them all"
        raise StartupError(f"{name} is no setting: {hint}")
    values: dict[str, Any] = {}
    for setting in TABLE:
        text = _text(setting, given)
        if text is not None:
            values[setting.field] = _parse(setting, text)
    return Settings(**values)


def _text(setting: Setting, given: Mapping[str, str]) -> str | None:
    """What the environment, or the file it names, says for this setting; None: nothing."""
    text, path = given.get(setting.name), given.get(setting.name + FILE_SUFFIX)
    if path is None:
        return text
    if text is not None:
        raise StartupError(f"{setting.name} and {setting.name}{FILE_SUFFIX} are both set: set one")
    try:
        with Path(path).open("rb") as file:
            content = file.read(_SECRET_FILE_BYTES_MAX + 1)
        text = content.decode().strip("\r\n")
    except OSError as error:
        raise StartupError(
            f"{setting.name}{FILE_SUFFIX}: cannot read {path}: {error.strerror}"
        ) from None
    except UnicodeDecodeError:
        raise StartupError(f"{setting.name}{FILE_SUFFIX}: {path} is not UTF-8") from None
    if not text or len(content) > _SECRET_FILE_BYTES_MAX:
        raise StartupError(
            f"{setting.name}{FILE_SUFFIX}: {path} is {'too long' if text else 'empty'}; "
            f"it is to hold {setting.legal}"
        )
    return text


def _parse(setting: Setting, text: str) -> object:
    value = setting.parse(text)
    if value is not None:
        return value
    if setting.secret:
        raise StartupError(f"{setting.name} is not {setting.legal} (its value is not shown)")
    shown = text if len(text) <= _SHOWN_CHARACTERS_MAX else text[:_SHOWN_CHARACTERS_MAX] + "…"
    raise StartupError(f"{setting.name} is {shown!r}, which is not {setting.legal}")


def markdown() -> str:
    """The page `docs/settings.md`."""
    defaults = Settings()
    rows = (
        f"| `{setting.name}`{f'<br>`{setting.name}{FILE_SUFFIX}`' if setting.secret else ''} "
        f"| {_default(getattr(defaults, setting.field))} | {setting.legal} | {setting.reason} |"
        for setting in TABLE
    )
    return f"{_PAGE}\n" + "\n".join(rows) + "\n"


def _default(value: object) -> str:
    if value is None:
        return "not set"
    return f"`{int(value)}`" if isinstance(value, bool) else f"`{value}`"


_PAGE: Final = """\
# Settings

All settings come from the environment. This page is printed by `agio settings` (`make docs` writes
it), from the table in `app/config.py`.

A secret can also be given as the path of a file that holds it, in the variable ending in `_FILE`;
setting both is refused. An empty variable counts as not set. A variable that starts with `AGIO_`
and is not listed here is refused, because it is a mistyped one. (In Kubernetes, set
`enableServiceLinks: false`: a service named `agio` would otherwise put such variables there.)

A limit, `AGIO_LIMIT_…`, is enforced (`500`), or only counts what it would refuse (`500:dry_run`),
or is `off`. What was beyond it is in the metrics `agio_limits_refused_total` and
`agio_limits_would_refuse_total`, by `name`, and in the log as `limit.exceeded`. To tighten one, let
it run dry until nothing honest is counted any more.

| variable | default | legal values | what for, and why this default |
|---|---|---|---|"""
