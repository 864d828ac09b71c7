"""A chat: what may be said, what is left of it, and who may remove it."""

from typing import Any

import pytest

from app.domain.errors import Code, Refusal
from app.limits import CHAT_AT_ONCE, CHAT_TEXT_MAX
from app.socket.chat import REMOVED, SAID, message_of, parse_removal, parse_text, snapshot_of
from app.socket.chat_channel import ChatChannel
from channels.channel import Joined, JoinRefused, Message, Recalled, Reply
from tests.app.sales.market import BUYER, OPERATOR, SELLER, Market
from tests.app.socket.client import Client

FAMILY = "\U0001f469\u200d\U0001f467"


@pytest.mark.parametrize("text", ["a", "Is it red?", FAMILY, "x" * CHAT_TEXT_MAX, "日本語"])
def test_a_line_of_text_may_be_said(text: str) -> None:
    """In any language, pictures too."""
    assert parse_text({"text": text}) == text


@pytest.mark.parametrize(
    "payload",
    [
        {},
        [],
        "text",
        {"text": 1},
        {"text": ""},
        {"text": "\u200d"},
        {"text": "a\nb"},
        {"text": "a\0b"},
        {"text": "\u202eevil"},
        {"text": "x" * (CHAT_TEXT_MAX + 1)},
        {"text": "x" + "\u200d" * CHAT_TEXT_MAX},
    ],
)
def test_anything_else_may_not(payload: Any) -> None:
    """Neither what is too long, nor what would not be shown as it is."""
    refusal = parse_text(payload)
    assert isinstance(refusal, Refusal)
    assert refusal.code is Code.INVALID_REQUEST


def test_removing_is_for_those_who_sell() -> None:
    """And names a message."""
    assert parse_removal(SELLER, {"id": "msg_1"}) == "msg_1"
    assert parse_removal(OPERATOR, {"id": "msg_1"}) == "msg_1"
    refused = parse_removal(BUYER, {"id": "msg_1"})
    assert isinstance(refused, Refusal)
    assert refused.code is Code.FORBIDDEN
    for payload in ({}, {"id": 1}, {"id": ""}, None):
        refused = parse_removal(SELLER, payload)
        assert isinstance(refused, Refusal)
        assert refused.code is Code.INVALID_REQUEST


def test_a_snapshot_has_what_was_not_removed() -> None:
    """In the order in which it was said; removals of what is forgotten change nothing."""
    said = [Message(SAID, message_of(BUYER, f"m{n}", "x", n)) for n in range(3)]
    removed = [Message(REMOVED, {"id": name}) for name in ("m1", "long ago")]
    left = snapshot_of([*said, *removed])["messages"]
    assert [message["id"] for message in left] == ["m0", "m2"]
    assert left[0] == {"id": "m0", "from": BUYER.person, "role": "buyer", "text": "x", "at": 0}


async def test_a_newcomer_is_shown_the_chat(market: Market) -> None:
    """Who recovers needs no snapshot."""
    await market.open("friday")
    said = Message(SAID, message_of(BUYER, "m1", "x", 1))
    client = Client(BUYER, "chat:friday", recalled=Recalled([said], recovered=False))
    joined = await ChatChannel(market.sales).join(client.topic, {}, client)
    assert joined == Joined({"snapshot": {"messages": [said.payload]}})
    client.recalled = Recalled([said], recovered=True)
    assert await ChatChannel(market.sales).join(client.topic, {}, client) == Joined()


@pytest.mark.parametrize("topic", ["chat:other", "chat:", "chat:../friday"])
async def test_there_is_no_chat_without_a_sale(market: Market, topic: str) -> None:
    """Nor one of another line."""
    await market.open("friday")
    client = Client(BUYER, topic)
    joined = await ChatChannel(market.sales).join(topic, {}, client)
    assert isinstance(joined, JoinRefused)
    assert joined.response["code"] == "not_found"


async def test_who_says_something_is_told_its_id_and_cursor(market: Market) -> None:
    """Members are told who says it, and when."""
    await market.open("friday")
    client = Client(BUYER, "chat:friday")
    channel = ChatChannel(market.sales, now=lambda: 12.5)
    answer = await channel.handle_in("say", {"text": "Is it red?"}, client)
    [(event, told)] = client.broadcasts
    assert isinstance(told, dict)
    assert answer == Reply.ok({"id": told["id"], "cursor": "e-1"})
    assert (event, told["from"], told["text"], told["at"]) == (
        SAID,
        BUYER.person,
        "Is it red?",
        12_500,
    )


@pytest.mark.parametrize(
    ("event", "payload", "code"),
    [
        ("say", {"text": ""}, "invalid_request"),
        ("remove", {"id": "m1"}, "forbidden"),
        ("shout", {}, "invalid_request"),
    ],
)
async def test_what_may_not_be_is_refused(
    market: Market, event: str, payload: object, code: str
) -> None:
    """And nobody hears of it."""
    client = Client(BUYER, "chat:friday")
    answer = await ChatChannel(market.sales).handle_in(event, payload, client)
    assert isinstance(answer, Reply)
    assert isinstance(answer.response, dict)
    assert (answer.status, answer.response["code"]) == ("error", code)
    assert client.broadcasts == []


async def test_what_is_removed_is_told(market: Market) -> None:
    """To all members."""
    client = Client(SELLER, "chat:friday")
    answer = await ChatChannel(market.sales).handle_in("remove", {"id": "m1"}, client)
    assert answer == Reply.ok({"cursor": "e-1"})
    assert client.broadcasts == [(REMOVED, {"id": "m1"})]


async def test_without_the_history_nothing_is_said(market: Market) -> None:
    """It is refused, and may be tried again."""
    client = Client(BUYER, "chat:friday", down=True)
    answer = await ChatChannel(market.sales).handle_in("say", {"text": "x"}, client)
    assert isinstance(answer, Reply)
    assert isinstance(answer.response, dict)
    assert (answer.response["code"], answer.response["retryable"]) == ("unavailable", True)


async def test_nobody_says_everything(market: Market) -> None:
    """A few messages at once, then one now and then."""
    client = Client(BUYER, "chat:friday")
    channel = ChatChannel(market.sales)
    for _ in range(CHAT_AT_ONCE + 5):
        await channel.handle_in("say", {"text": "x"}, client)
    assert len(client.broadcasts) == CHAT_AT_ONCE
