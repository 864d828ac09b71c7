"""The command `agio`: each subcommand is one small function.

What goes wrong at a start is one line on stderr and exit status 1; wrong arguments are argparse's
business, status 2.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from typing import Final

import trio

from app import config
from app.banner import banner
from app.config import Settings, read_settings
from app.domain.money import BASIS_POINTS
from app.domain.names import is_id, is_text
from app.identity.model import Role
from app.identity.tokens import Tokens
from app.limits import TITLE_MAX
from app.main import check_ledger, migrate_only, new_line, serve, token_secret
from app.storage.errors import StartupError
from app.telemetry import events, start_telemetry

# A working day: long enough to play, short enough to be lost.
_TTL_SECONDS: Final = 8 * 3600

_FAILED: Final = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parsed = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace, Settings], int] = parsed.command
    try:
        return command(parsed, read_settings(os.environ) if parsed.reads else Settings())
    except StartupError as error:
        print(f"agio: {error}", file=sys.stderr)
        return _FAILED
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="agio",
        description="A realtime transaction server.",
        epilog="Settings come from the environment: `agio settings` lists them.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(
        name: str, command: Callable[..., int], summary: str, *, reads: bool = True
    ) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=summary, description=summary)
        made.set_defaults(command=command, reads=reads)
        return made

    add("up", _up, "Bring PostgreSQL, Valkey and the demo, and serve.")
    add("serve", _serve, "Serve, on the servers that the settings name.")
    add("migrate", _migrate, "Bring the database's schema up to date.")
    token = add("token", _token, "Print a token.")
    token.add_argument("role", choices=[role.value for role in Role])
    token.add_argument("--user", metavar="NAME", help="whose (default: demo-<role>)")
    token.add_argument("--line", default="demo", help="of which business line (default: demo)")
    token.add_argument("--ttl", type=int, default=_TTL_SECONDS, metavar="SECONDS")
    ledger = commands.add_parser("ledger", help="Look after the ledger.")
    ledger_commands = ledger.add_subparsers(required=True, metavar="COMMAND")
    check = ledger_commands.add_parser("check", help="Replay the ledger and compare.")
    check.set_defaults(command=_check, reads=True)
    line = commands.add_parser("line", help="Look after business lines.")
    line_commands = line.add_subparsers(required=True, metavar="COMMAND")
    new = line_commands.add_parser("add", help="Add a business line, with its book.")
    new.add_argument("id", help="as in a token's `line`: a-z, 0-9, _ and -, 63 at most")
    new.add_argument("--name", help="what people call it (default: its id)")
    new.add_argument("--commission-bp", type=int, default=0, metavar="BASIS_POINTS")
    new.set_defaults(command=_add_line, reads=True)
    # What tells about Agio itself works also where a setting is wrong.
    add("settings", _settings, "Print every setting, its default and its reason.", reads=False)
    add("events", _events, "Print every event of the log and its meaning.", reads=False)
    add("version", _version, "Print the version.", reads=False)
    return parser


def _up(_arguments: argparse.Namespace, settings: Settings) -> int:
    def show(url: str, tokens: Tokens) -> None:
        print(banner(url, tokens, _TTL_SECONDS), flush=True)

    with start_telemetry(settings.log_level) as telemetry:
        trio.run(partial(serve, settings, telemetry, embed=True, on_ready=show))
    return 0


def _serve(_arguments: argparse.Namespace, settings: Settings) -> int:
    _needs(settings.database_url, "AGIO_DATABASE_URL", "or try `agio up`, which brings a database")
    _needs(settings.token_secret, "AGIO_TOKEN_SECRET", "the same for all nodes")
    with start_telemetry(settings.log_level) as telemetry:
        trio.run(partial(serve, settings, telemetry, embed=False, on_ready=lambda *_: None))
    return 0


def _migrate(_arguments: argparse.Namespace, settings: Settings) -> int:
    url = _needs(settings.database_url, "AGIO_DATABASE_URL", "`agio up` migrates by itself")
    applied = trio.run(migrate_only, url)
    print(f"applied {', '.join(applied)}" if applied else "nothing to apply")
    return 0


def _token(arguments: argparse.Namespace, settings: Settings) -> int:
    role = Role(arguments.role)
    user = arguments.user or f"demo-{role.value}"
    try:
        issued = Tokens(token_secret(settings)).issue(user, role, arguments.line, arguments.ttl)
    except ValueError as error:
        raise StartupError(str(error)) from None
    print(issued)
    return 0


def _check(_arguments: argparse.Namespace, settings: Settings) -> int:
    report = trio.run(check_ledger, settings)
    print("\n".join(report.lines))
    return 0 if report.clean else _FAILED


def _add_line(arguments: argparse.Namespace, settings: Settings) -> int:
    name = arguments.name or arguments.id
    if not is_id(arguments.id) or not is_text(name, TITLE_MAX):
        raise StartupError(f"{arguments.id!r}, {name!r}: no id and name of a business line")
    if not 0 <= arguments.commission_bp <= BASIS_POINTS:
        raise StartupError(f"a commission is 0 to {BASIS_POINTS} basis points")
    if not trio.run(new_line, settings, arguments.id, name, arguments.commission_bp):
        raise StartupError(f"there is a business line {arguments.id} already")
    print(f"added {arguments.id}")
    return 0


def _settings(_arguments: argparse.Namespace, _read: Settings) -> int:
    print(config.markdown(), end="")
    return 0


def _events(_arguments: argparse.Namespace, _read: Settings) -> int:
    print(events.markdown(), end="")
    return 0


def _version(_arguments: argparse.Namespace, _read: Settings) -> int:
    print(f"agio {version('agio')}")
    return 0


def _needs(value: str | None, name: str, hint: str) -> str:
    if value is None:
        raise StartupError(f"{name} is not set: {hint}")
    return value


if __name__ == "__main__":
    sys.exit(main())
