"""The subcommands of `agio ledger`: look after it, and keep what proves it."""

import argparse
import re
from typing import Final

import trio

from app.cli_reports import take_report_commands
from app.config import Settings
from app.once import check_ledger
from app.once_ledger import verify_ledger

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


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - what the command is asked for
