"""The command `agio`: each subcommand is one small function.

What goes wrong at a start is one line on stderr and exit status 1; wrong arguments are argparse's
business, status 2.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from typing import Final

import msgspec
import trio

from app import config
from app.banner import banner
from app.cli_ledger import take_ledger_commands
from app.cli_loadtest import read_goal, read_plan, take_loadtest_options
from app.cli_options import number
from app.config import Settings, read_settings
from app.domain.money import BASIS_POINTS
from app.domain.names import is_id, is_text
from app.http.address import local_url
from app.identity.model import Role, Scope
from app.identity.tokens import Tokens
from app.inspect.client import TreeClient, read_place
from app.inspect.limits import INSPECT_EVERY_MAX_S, INSPECT_EVERY_MIN_S, INSPECT_TOKEN_S
from app.inspect.live import watch
from app.inspect.picture import render
from app.inspect.terminal import Terminal
from app.ledger.model import Mode
from app.limits import (
    TITLE_MAX,
    TREE_CHILDREN_MAX,
    TREE_CHILDREN_USUAL,
    WORKERS_MAX,
)
from app.loadtest.coordinator import load_test
from app.loadtest.progress import ProgressLine
from app.loadtest.report import write_report
from app.loadtest.summary import as_json, text
from app.main import serve, token_secret
from app.once import migrate_only, new_line
from app.storage.embedded import StateFolder
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
    except BrokenPipeError:
        # Whoever read has seen enough, as `head` has. Nothing is left to be flushed at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
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

    for serving in (
        add("up", _up, "Bring PostgreSQL, Valkey and the demo, and serve."),
        add("serve", _serve, "Serve, on the servers that the settings name."),
    ):
        serving.add_argument(
            "--workers",
            type=number(int, 1, WORKERS_MAX),
            default=1,
            metavar="N",
            help="processes that share the port, one a core (default: 1)",
        )
    add("migrate", _migrate, "Bring the database's schema up to date.")
    token = add("token", _token, "Print a token.")
    token.add_argument("role", choices=[role.value for role in Role])
    token.add_argument("--user", metavar="NAME", help="whose (default: demo-<role>)")
    token.add_argument("--line", default="demo", help="of which business line (default: demo)")
    token.add_argument("--ttl", type=int, default=_TTL_SECONDS, metavar="SECONDS")
    token.add_argument(
        "--scope",
        action="append",
        default=[],
        choices=[scope.value for scope in Scope],
        help="what it lets its holder do beside what the role does; may be repeated",
    )
    take_ledger_commands(commands.add_parser("ledger", help="Look after the ledger."))
    line = commands.add_parser("line", help="Look after business lines.")
    line_commands = line.add_subparsers(required=True, metavar="COMMAND")
    new = line_commands.add_parser("add", help="Add a business line, with its book.")
    new.add_argument("id", help="as in a token's `line`: a-z, 0-9, _ and -, 63 at most")
    new.add_argument("--name", help="what people call it (default: its id)")
    new.add_argument("--commission-bp", type=int, default=0, metavar="BASIS_POINTS")
    new.add_argument(
        "--importing",
        action="store_const",
        const=Mode.IMPORTING,
        default=Mode.LIVE,
        dest="mode",
        help="have its book take past postings only, until `agio ledger promote`",
    )
    new.set_defaults(command=_add_line, reads=True)
    take_loadtest_options(
        add("loadtest", _loadtest, "Put load on a server that speaks Phoenix's protocol.")
    )
    _take_options(add("inspect", _inspect, "Show what lives in a running node, as a tree."))
    # What tells about Agio itself works also where a setting is wrong.
    add("settings", _settings, "Print every setting, its default and its reason.", reads=False)
    add("events", _events, "Print every event of the log and its meaning.", reads=False)
    add("version", _version, "Print the version.", reads=False)
    return parser


def _take_options(inspect: argparse.ArgumentParser) -> None:
    inspect.add_argument("--url", help="of the node (default: by AGIO_HOST and AGIO_PORT)")
    inspect.add_argument("--token", help="an operator's (default: made with the token secret)")
    inspect.add_argument(
        "--path", default="", help="begin here, as in agio/node/service/connections"
    )
    inspect.add_argument(
        "--children",
        type=number(int, 0, TREE_CHILDREN_MAX),
        default=TREE_CHILDREN_USUAL,
        metavar="N",
    )
    inspect.add_argument("--once", action="store_true", help="print one picture and exit")
    inspect.add_argument("--json", action="store_true", help="print the answer as JSON and exit")
    inspect.add_argument(
        "--every",
        type=number(float, INSPECT_EVERY_MIN_S, INSPECT_EVERY_MAX_S),
        default=1.0,
        metavar="SECONDS",
    )


def _up(arguments: argparse.Namespace, settings: Settings) -> int:
    def show(url: str, tokens: Tokens) -> None:
        print(banner(url, tokens, _TTL_SECONDS), flush=True)

    with start_telemetry(settings.log_level) as telemetry:
        run = partial(serve, embed=True, on_ready=show, workers=arguments.workers)
        trio.run(run, settings, telemetry)
    return 0


def _serve(arguments: argparse.Namespace, settings: Settings) -> int:
    _needs(settings.database_url, "AGIO_DATABASE_URL", "or try `agio up`, which brings a database")
    _needs(settings.token_secret, "AGIO_TOKEN_SECRET", "the same for all nodes")
    with start_telemetry(settings.log_level) as telemetry:
        run = partial(serve, embed=False, on_ready=lambda *_: None, workers=arguments.workers)
        trio.run(run, settings, telemetry)
    return 0


def _migrate(_arguments: argparse.Namespace, settings: Settings) -> int:
    url = settings.database_owner_url or _needs(
        settings.database_url, "AGIO_DATABASE_URL", "`agio up` migrates by itself"
    )
    applied = trio.run(migrate_only, url)
    print(f"applied {', '.join(applied)}" if applied else "nothing to apply")
    return 0


def _token(arguments: argparse.Namespace, settings: Settings) -> int:
    role = Role(arguments.role)
    user = arguments.user or f"demo-{role.value}"
    scopes = [Scope(each) for each in arguments.scope]
    try:
        tokens = Tokens(token_secret(settings))
        issued = tokens.issue(user, role, arguments.line, arguments.ttl, scopes)
    except ValueError as error:
        raise StartupError(str(error)) from None
    print(issued)
    return 0


def _add_line(arguments: argparse.Namespace, settings: Settings) -> int:
    name = arguments.name or arguments.id
    if not is_id(arguments.id) or not is_text(name, TITLE_MAX):
        raise StartupError(f"{arguments.id!r}, {name!r}: no id and name of a business line")
    if not 0 <= arguments.commission_bp <= BASIS_POINTS:
        raise StartupError(f"a commission is 0 to {BASIS_POINTS} basis points")
    bp, mode = arguments.commission_bp, arguments.mode
    if not trio.run(new_line, settings, arguments.id, name, bp, mode):
        raise StartupError(f"there is a business line {arguments.id} already")
    print(f"added {arguments.id}")
    return 0


def _inspect(arguments: argparse.Namespace, settings: Settings) -> int:
    terminal = Terminal(sys.stdout, os.environ)
    client = TreeClient(
        read_place(arguments.url or _own_url(settings)),
        partial(str, arguments.token) if arguments.token else _operator(settings),
        path=arguments.path,
        children_max=arguments.children,
    )
    with closing(client):
        if terminal.is_live and not (arguments.once or arguments.json):
            trio.run(watch, client.fetch, terminal, arguments.every)
            return 0
        snapshot, body = trio.run(client.fetch)
    if arguments.json:
        print(msgspec.json.format(body).decode(), flush=True)
    else:
        print("\n".join(render(snapshot, replace(terminal.canvas, height=None))), flush=True)
    return 0


def _loadtest(arguments: argparse.Namespace, settings: Settings) -> int:
    url, token = arguments.url, arguments.token
    if url is None:
        # A token of ours is for our own node: whoever names another server gives one for it.
        url = _own_url(settings)
        token = token or _issuer(settings).issue(
            "agio-loadtest", Role.BUYER, "demo", INSPECT_TOKEN_S
        )
    target = read_goal(arguments, url, token)
    with ProgressLine(sys.stderr) as progress:
        summary = trio.run(load_test, read_plan(arguments), target, progress.show)
    if arguments.json:
        print(msgspec.json.format(msgspec.json.encode(as_json(summary))).decode())
    else:
        print("\n".join(text(summary)))
    if arguments.report is not None:
        for path in write_report(summary, arguments.report):
            print(f"wrote {path}", file=sys.stderr)
    return 0


def _own_url(settings: Settings) -> str:
    if settings.port == 0:
        raise StartupError("AGIO_PORT is 0, so any port may be it: name the node with --url")
    return local_url(settings.host, settings.port)


def _operator(settings: Settings) -> Callable[[], str]:
    """Makes a token for each look, so that none has to live for as long as somebody watches."""
    return partial(_issuer(settings).issue, "agio-inspect", Role.OPERATOR, "demo", INSPECT_TOKEN_S)


def _issuer(settings: Settings) -> Tokens:
    """Makes tokens that the node of these settings takes."""
    if settings.token_secret is None and not StateFolder.is_at(settings.state_dir):
        raise StartupError(
            f"no token secret: AGIO_TOKEN_SECRET is not set, and {settings.state_dir} is no state "
            "folder of `agio up`; or give a --token"
        )
    return Tokens(token_secret(settings))


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
