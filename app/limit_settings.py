"""The settings of the limits on clients: `AGIO_LIMIT_<name>`, one for each limit there is.

Each is a number, which is enforced; or a number and `:dry_run`, which only counts; or `off`. Those
are enforced by default that no honest client comes near, or that keep a node alive. Those whose
right value an application's clients decide run dry by default: an operator looks at what they count
(`agio_limits_would_refuse_total`), and enforces them then.
"""

import re
from collections.abc import Callable
from typing import Final

from app.limits import CONNECTIONS_MAX
from app.setting import Setting
from channels.client_address import parse_networks
from channels.client_limits import ClientLimits, Limit, LimitName, Mode
from channels.limits import MESSAGE_BYTES_CEILING, TOPICS_CEILING

_SPELT: Final = re.compile(r"([0-9]{1,9})(:dry_run)?", re.ASCII)


def _limit(least: int, most: int) -> Callable[[str], Limit | None]:
    def parse(text: str) -> Limit | None:
        if text == "off":
            return Limit()
        spelt = _SPELT.fullmatch(text)
        if spelt is None or not least <= int(spelt[1]) <= most:
            return None
        return Limit(int(spelt[1]), Mode.DRY_RUN if spelt[2] else Mode.ENFORCE)

    return parse


def _row(name: LimitName, least: int, most: int, reason: str) -> Setting:
    legal = f"a number from {least} to {most}, with `:dry_run` behind it to only count; or `off`"
    return Setting(f"AGIO_LIMIT_{name.upper()}", legal, _limit(least, most), reason)


def _enforced(value: int) -> Limit:
    return Limit(value, Mode.ENFORCE)


def _dry(value: int) -> Limit:
    return Limit(value, Mode.DRY_RUN)


DEFAULTS: Final = ClientLimits(
    connections=_enforced(18_000),
    connections_per_address=_dry(500),
    connections_per_user=_dry(50),
    topics=_enforced(100),
    message_bytes=_enforced(131_072),
    messages=_dry(500),
    bytes=_dry(1_000_000),
    joins=_enforced(40),
    joins_per_node=_enforced(5_000),
    failed_joins=_enforced(10),
)

ROWS: Final = (
    _row(
        LimitName.CONNECTIONS,
        1,
        CONNECTIONS_MAX,
        "Clients of one node, over WebSocket and LongPoll; beyond it a handshake is answered 503. "
        "At 20 KB each the default is 360 MB, and leaves some of 20,000 descriptors for the rest.",
    ),
    _row(
        LimitName.CONNECTIONS_PER_ADDRESS,
        1,
        CONNECTIONS_MAX,
        "Of these, from one address (of IPv6, from one /64); beyond it 429. Only counted by "
        "default: behind one address may be an office, a carrier, a load test, or your own proxy "
        "that `AGIO_TRUSTED_PROXIES` does not name yet.",
    ),
    _row(
        LimitName.CONNECTIONS_PER_USER,
        1,
        CONNECTIONS_MAX,
        "Of these, of one person of a line; beyond it 429. A person has a few devices with a few "
        "pages each. Only counted by default: a service or a load test may use one token for all.",
    ),
    _row(
        LimitName.TOPICS,
        1,
        TOPICS_CEILING,
        "Topics of one connection; a join beyond it is refused. Phoenix's own default. At a dry "
        f"run, and when it is off, {TOPICS_CEILING} are.",
    ),
    _row(
        LimitName.MESSAGE_BYTES,
        1_024,
        MESSAGE_BYTES_CEILING,
        "Bytes of one message; a larger one closes the connection with 1009. A client can make a "
        "node hold half a message of this size, so it is kept small. At a dry run, and when it is "
        f"off, the bound is {MESSAGE_BYTES_CEILING}.",
    ),
    _row(
        LimitName.MESSAGES,
        1,
        1_000_000,
        "Messages of one connection a second, five seconds' worth at once; beyond it they are "
        "refused, and who goes on is closed with 4429. No page that a person uses comes near. Only "
        "counted by default: load tests do.",
    ),
    _row(
        LimitName.BYTES,
        1,
        999_999_999,
        "Bytes of these a second. As for messages.",
    ),
    _row(
        LimitName.JOINS,
        1,
        100_000,
        "Joins of one connection a second, five seconds' worth at once: a page that connects joins "
        "all of its 100 topics, and may do so again. Beyond it a join is refused.",
    ),
    _row(
        LimitName.JOINS_PER_NODE,
        1,
        100_000,
        "Joins of all connections of a node a second; beyond it they are refused as `busy`. More "
        "than a core begins, so that it only cuts off what would wait for seconds.",
    ),
    _row(
        LimitName.FAILED_JOINS,
        1,
        10_000,
        "Joins of one topic on one connection that crash, or are refused for good, within 5 "
        "minutes; beyond it they are refused without asking. Phoenix's client tries every 10 s for "
        "as long as its page is open: every third of these is then asked.",
    ),
    Setting(
        "AGIO_TRUSTED_PROXIES",
        "networks with commas between them, such as 10.0.0.0/8, ::1",
        parse_networks,
        "Whose `X-Forwarded-For` is believed: the proxies in front of this node, all of them. A "
        "client's address is the last one there that is none of theirs. Not set: nobody's, since "
        "any client may send one.",
    ),
)
