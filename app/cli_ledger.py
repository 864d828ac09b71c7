"""The subcommands of `agio ledger`: look after it, and keep what proves it."""

import argparse
import re
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import trio

from app.cli_reports import take_report_commands
from app.config import Settings
from app.ledger.import_model import read_totals
from app.ledger.importer import PastPostings
from app.once import check_ledger
from app.once_ledger import import_past, promote_book, verify_ledger
from app.storage.errors import StartupError

_FAILED: Final = 1
_TIP: Final = re.compile("[0-9a-f]{64}", re.ASCII)


def take_ledger_commands(ledger: argparse.ArgumentParser) -> None:
    """Add them."""
    commands = ledger.add_subparsers(required=True, metavar="COMMAND")
    check = commands.add_parser("check", help="Replay the ledger and compare.")
    check.set_defaults(command=_check, reads=True)
    verify = commands.add_parser(
        "verify", help="See that what was sealed is what is there, and print the tip of each book."
    )
    verify.add_argument("--book", help="the one book to verify (default: all)")
    verify.add_argument(
        "--tip",
        action="append",
        default=[],
        type=_tip,
        metavar="HASH",
        help="printed before and kept elsewhere: a chain has to lead through it; may be repeated",
    )
    verify.set_defaults(command=_verify, reads=True)
    take_report_commands(commands)
    load = commands.add_parser(
        "import", help="Post past postings to a book that `agio line add --importing` made."
    )
    load.add_argument("book")
    load.add_argument("file", type=Path, help="a posting a line, as JSON, in the order of time")
    load.add_argument("--totals", type=Path, required=True, help="what the book is to come to")
    load.set_defaults(command=_import, reads=True)
    promote = commands.add_parser(
        "promote", help="Let a book take present postings, once its last import was complete."
    )
    promote.add_argument("book")
    promote.set_defaults(command=_promote, reads=True)


def _tip(text: str) -> bytes:
    if not _TIP.fullmatch(text.lower()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a tip: 64 hexadecimal digits")
    return bytes.fromhex(text)


def _check(_arguments: argparse.Namespace, settings: Settings) -> int:
    report = trio.run(check_ledger, settings)
    for line in report.lines:
        _say(line)
    return 0 if report.clean else _FAILED


def _verify(arguments: argparse.Namespace, settings: Settings) -> int:
    tips = frozenset(arguments.tip)
    return 0 if trio.run(verify_ledger, settings, tips, arguments.book, _say) else _FAILED


def _import(arguments: argparse.Namespace, settings: Settings) -> int:
    try:
        wanted = read_totals(arguments.totals.read_bytes())
        with arguments.file.open("rb") as file:
            postings = PastPostings(arguments.file.name, file)
            load = partial(import_past, settings, arguments.book, postings, wanted, _say)
            return 0 if trio.run(load) else _FAILED
    except OSError as error:
        raise StartupError(f"{error.filename}: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        raise StartupError(f"{arguments.totals}: {error}") from None


def _promote(arguments: argparse.Namespace, settings: Settings) -> int:
    trio.run(promote_book, settings, arguments.book)
    _say(f"{arguments.book} is live")
    return 0


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - what the command is asked for
