"""What clients that poll send, and what they are answered."""

from base64 import b64encode

import msgspec
import pytest

from channels.frames import BINARY, TEXT
from channels.longpoll_wire import (
    Line,
    Ticket,
    Tickets,
    body_of,
    line_of,
    lines_in,
    preflight,
    split_ticket,
    status_only,
    stays_without_rejoining,
    unreadable,
)

NDJSON = "application/x-ndjson"
TICKETS = Tickets(b"a key")
TICKET = Ticket("node_1-a", 17, 3)


def test_a_ticket_comes_back_as_it_was() -> None:
    """And needs no escape in a URL."""
    text = TICKETS.sign(TICKET)
    assert TICKETS.read(text) == TICKET
    assert text.replace(".", "").replace("_", "").replace("-", "").isalnum()


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "nonsense",
        TICKETS.sign(TICKET) + "x",
        TICKETS.sign(TICKET)[:-1] + "!",
        TICKETS.sign(TICKET).replace(".3.", ".4."),
        TICKETS.sign(TICKET).replace(".17.", ".18."),
        TICKETS.sign(TICKET).replace("node_1-a", "node_2-a"),
        Tickets(b"another key").sign(TICKET),
    ],
)
def test_what_is_no_ticket_of_ours_is_none(text: str | None) -> None:
    """Changed, cut, or signed by others."""
    assert TICKETS.read(text) is None


def test_tickets_do_not_show_their_key() -> None:
    """In no log."""
    assert "a key" not in repr(TICKETS)


@pytest.mark.parametrize(
    ("query", "headers", "split"),
    [
        ("vsn=2.0.0&", {}, (None, "vsn=2.0.0&")),
        ("vsn=2.0.0&token=ann&", {}, (None, "vsn=2.0.0&token=ann&")),
        ("token=ann&token=agiolp1.x", {}, ("agiolp1.x", "token=ann")),
        ("token=agiolp1.old&a=b&token=agiolp1.x", {}, ("agiolp1.x", "a=b")),
        ("token=ann", {"x-phoenix-longpoll-token": "agiolp1.h"}, ("agiolp1.h", "token=ann")),
        (
            "token=agiolp1.x",
            {"x-phoenix-longpoll-token": "agiolp1.h"},
            ("agiolp1.h", ""),
        ),
        ("token=ann", {"x-phoenix-longpoll-token": ""}, (None, "token=ann")),
    ],
)
def test_a_ticket_is_told_from_the_client_s_own_token(
    query: str, headers: dict[str, str], split: tuple[str | None, str]
) -> None:
    """Both are called `token` in a URL; newer clients send the ticket in a header."""
    assert split_ticket(query, headers) == split


@pytest.mark.parametrize(
    ("content_type", "body", "lines"),
    [
        (NDJSON, b'["a"]\n{"b":1}', [(b'["a"]', TEXT), (b'{"b":1}', TEXT)]),
        (NDJSON + "; charset=utf-8", b'["a"]\r\n["b"]\r\n', [(b'["a"]', TEXT), (b'["b"]', TEXT)]),
        (NDJSON, b64encode(b"\0\1\2"), [(b"\0\1\2", BINARY)]),
        (NDJSON, b'nonsense!\n["a"]', [None, (b'["a"]', TEXT)]),
        (NDJSON, b"", []),
        ("application/json", b'["a"]\n', [(b'["a"]\n', TEXT)]),
        ("", b"\0\1\2", [(b"\0\1\2", BINARY)]),
        ("text/plain", b"", [(b"", TEXT)]),
    ],
)
def test_a_post_is_read_as_its_type_says(content_type: str, body: bytes, lines: list[Line]) -> None:
    """Lines of text or base64; of older clients one message, as it is."""
    assert list(lines_in(content_type, body)) == lines


def test_a_hundred_lines_are_taken() -> None:
    """As Phoenix; what comes after them is left out."""
    body = b"\n".join(b"[%d]" % n for n in range(150))
    assert list(lines_in(NDJSON, body)) == [(b"[%d]" % n, TEXT) for n in range(100)]


def test_messages_wait_as_lines() -> None:
    """A line's end within JSON is space; bytes have no form."""
    assert line_of(b'["a",\n"b\\n"]') == b'["a", "b\\n"]\n'
    assert line_of(b"\2\1\1te") is None


def test_bodies_carry_the_status_the_ticket_and_the_messages_as_texts() -> None:
    """A client reads each text as it would read a frame."""
    assert msgspec.json.decode(body_of(200, "t", [b'["\xc3\xa9"]'])) == {
        "status": 200,
        "token": "t",
        "messages": ['["é"]'],
    }
    assert msgspec.json.decode(body_of(410)) == {"status": 410, "token": None, "messages": []}


def test_answers_may_be_read_by_any_page_and_kept_by_nobody() -> None:
    """The HTTP status is always 200."""
    answer = status_only(408)
    assert (answer.status, answer.body) == (200, b'{"status":408}')
    assert dict(answer.headers) == {
        "Content-Type": "application/json; charset=utf-8",
        "Access-Control-Allow-Origin": "*",
    }
    assert unreadable().status == 400


@pytest.mark.parametrize(
    ("wanted", "allowed"),
    [
        ("x-phoenix-authtoken", "x-phoenix-authtoken"),
        ("content-type, x-phoenix-longpoll-token", "content-type, x-phoenix-longpoll-token"),
        ("content-type\nx-a", "content-type,x-a"),
        ("nonsense; here", ""),
        ("", ""),
    ],
)
def test_a_preflight_is_granted_what_it_asks_for(wanted: str, allowed: str) -> None:
    """Names of headers, and nothing else."""
    answer = preflight({"access-control-request-headers": wanted})
    assert (answer.status, answer.body) == (200, b"")
    assert dict(answer.headers) == {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Headers": allowed,
        "Access-Control-Allow-Methods": "get, post, options",
        "Access-Control-Max-Age": "3600",
    }


def test_older_clients_are_known_by_how_they_ask() -> None:
    """They send a content type with a request that has no content."""
    assert stays_without_rejoining({"content-type": "application/json"})
    assert not stays_without_rejoining({"accept": "application/json"})
