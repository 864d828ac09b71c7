"""The options of `agio loadtest`, and the plan that they make."""

import argparse
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import msgspec

from app.cli_options import number
from app.loadtest.limits import (
    AROUND_MAX_S,
    CONNECTIONS_MAX,
    DURATION_MAX_S,
    DURATION_MIN_S,
    PAYLOAD_BYTES_MAX,
    PROCESSES_MAX,
    RAMP_MAX,
    RATE_MAX,
    ROOMS_MAX,
    TEXT_MAX,
    WINDOW_MAX,
)
from app.loadtest.model import Plan, Target
from app.loadtest.target import read_target

_USUAL: Final = Plan()


def take_loadtest_options(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    _take_place(parser.add_argument_group("where"))
    _take_load(parser.add_argument_group("load"))
    time = parser.add_argument_group("time, in seconds")
    bounds = (0, AROUND_MAX_S)
    long = (DURATION_MIN_S, DURATION_MAX_S)
    _seconds(time, "--duration", "of the measurement", _USUAL.duration_s, long)
    _seconds(time, "--warm-up", "of load before it", _USUAL.warm_up_s, bounds)
    _seconds(time, "--drain", "at most, for what is on its way after it", _USUAL.drain_s, bounds)
    _seconds(time, "--late", "after which a delivery is late", _USUAL.late_s, bounds)
    told = parser.add_argument_group("what is told")
    told.add_argument("--json", action="store_true", help="print the numbers as JSON")
    told.add_argument(
        "--report", type=_page, metavar="FILE.html", help="write a page, and its plot as FILE.png"
    )


def read_plan(arguments: argparse.Namespace) -> Plan:
    """What is to be measured."""
    return Plan(
        connections=arguments.connections,
        rooms=arguments.rooms,
        payload_bytes=arguments.payload,
        rate=arguments.rate,
        window=None if arguments.rate else arguments.window or _USUAL.window,
        processes=arguments.processes,
        ramp=arguments.ramp,
        duration_s=arguments.duration,
        warm_up_s=arguments.warm_up,
        drain_s=arguments.drain,
        late_s=arguments.late,
        topic=arguments.topic,
        event=arguments.event,
        join_params=arguments.join_params,
        sources=tuple(arguments.source),
    )


def read_goal(arguments: argparse.Namespace, url: str, token: str | None) -> Target:
    """Where it goes.

    Raises:
        LoadTestError: that is nowhere.
    """
    return read_target(
        url,
        token=token,
        by_subprotocol=arguments.by_subprotocol,
        headers=arguments.header,
    )


def _take_place(where: Any) -> None:
    where.add_argument(
        "--url", help="of the socket, as ws://host:4000/socket (default: this machine's node)"
    )
    where.add_argument(
        "--token", help="who we are (default: for this machine's node, made with its secret)"
    )
    where.add_argument(
        "--subprotocol",
        dest="by_subprotocol",
        action="store_true",
        help="the token goes into a subprotocol, instead of the parameter `token`",
    )
    where.add_argument(
        "--header",
        type=_header,
        action="append",
        default=[],
        metavar="NAME:VALUE",
        help="one more header of the upgrade; any number of them",
    )
    where.add_argument(
        "--topic",
        type=_text,
        default=_USUAL.topic,
        metavar="TEMPLATE",
        help="with the room's number as {room} (default: bench:{room})",
    )
    where.add_argument("--join-params", type=_json, default={}, metavar="JSON")
    where.add_argument(
        "--event",
        type=_text,
        default=_USUAL.event,
        metavar="NAME",
        help=f"pushed, and expected to be broadcast (default: {_USUAL.event})",
    )
    where.add_argument(
        "--source",
        type=_address,
        action="append",
        default=[],
        metavar="ADDRESS",
        help="connect from there; several are used in turn: each has some 28,000 ports",
    )


def _take_load(load: Any) -> None:
    _count(load, "--connections", "in all", _USUAL.connections, (1, CONNECTIONS_MAX))
    _count(load, "--rooms", "that share them", _USUAL.rooms, (1, ROOMS_MAX))
    _count(load, "--payload", "bytes of filler", _USUAL.payload_bytes, (0, PAYLOAD_BYTES_MAX))
    _count(load, "--processes", "that generate it", _USUAL.processes, (1, PROCESSES_MAX))
    pace = load.add_mutually_exclusive_group()
    pace.add_argument(
        "--rate",
        type=number(float, 1 / AROUND_MAX_S, RATE_MAX),
        metavar="N",
        help="messages a second in all rooms, whatever comes back (open loop)",
    )
    pace.add_argument(
        "--window",
        type=number(int, 1, WINDOW_MAX),
        metavar="N",
        help="messages in flight in each room (closed loop; default: 1)",
    )
    load.add_argument(
        "--ramp",
        type=number(float, 0.1, RAMP_MAX),
        metavar="N",
        help="connections a second (default: as fast as the server takes them)",
    )


def _count(group: Any, name: str, told: str, usual: int, bounds: tuple[int, int]) -> None:
    told = f"{told} (default: {usual})"
    group.add_argument(name, type=number(int, *bounds), default=usual, metavar="N", help=told)


def _seconds(group: Any, name: str, told: str, usual: float, bounds: tuple[float, float]) -> None:
    told = f"{told} (default: {usual:g})"
    group.add_argument(name, type=number(float, *bounds), default=usual, metavar="S", help=told)


def _text(given: str) -> str:
    if not given or len(given) > TEXT_MAX or not given.isprintable():
        raise argparse.ArgumentTypeError(f"{given[:80]!r} is no name")
    return given


def _page(given: str) -> Path:
    path = Path(given)
    if not path.name or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{given[:80]!r} is no file in a folder that is there")
    return path


def _header(given: str) -> tuple[str, str]:
    name, colon, value = given.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(
            f"{given[:80]!r} is not like 'Origin: https://example.com'"
        )
    return name.strip(), value.strip()


def _address(given: str) -> str:
    try:
        return str(ip_address(given))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{given[:80]!r} is no address") from None


def _json(given: str) -> Any:
    try:
        return msgspec.json.decode(given[: TEXT_MAX + 1])
    except (msgspec.DecodeError, RecursionError):
        raise argparse.ArgumentTypeError(f"{given[:80]!r} is no JSON") from None
