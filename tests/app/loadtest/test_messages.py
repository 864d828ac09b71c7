"""What is said, and what is understood."""

import msgspec
import pytest

from app.loadtest.messages import Body, Room, filler, read_message, reason_of
from app.loadtest.model import Plan


def test_a_join_has_its_parameters() -> None:
    """In the room that the template names."""
    room = Room(Plan(topic="room:{room}:all", join_params={"a": 1}), 7, "word")
    assert ["1", "1", "room:7:all", "phx_join", {"a": 1}] == msgspec.json.decode(room.join)


def test_a_push_carries_its_number_and_its_moment() -> None:
    """Whatever the topic and the event are called, and as much filler as was asked for."""
    plan = Plan(topic='"\\é{room}', event='"x', payload_bytes=3)
    text = Room(plan, 0, "word").push(12, 345) + filler(plan)
    payload = {"run": "word", "seq": 12, "t": 345, "p": "xxx"}
    assert ["1", "12", '"\\é0', '"x', payload] == msgspec.json.decode(text)


def test_a_broadcast_is_understood_in_any_order() -> None:
    """Servers decode and encode as they like, and add what they like."""
    text = b'[null,null,"t","e",{"p":"x","t":5,"more":[1],"seq":4,"run":"word"},"further"]'
    message = read_message(text)
    assert message is not None
    assert ("t", "e", None) == (message.topic, message.event, message.ref)
    body = message.payload
    assert ("word", 4, 5) == (body.run, body.seq, body.t)


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[]", b'[null,null,"t","e",[]]', b"[" * 100_000, b'"\xff"']
)
def test_what_is_no_message_is_none(text: bytes) -> None:
    """It is somebody else's business."""
    assert read_message(text) is None


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (b'{"reason":"unmatched topic"}', "unmatched topic"),
        (b'{"code":"not_found","message":"Rooms have numbers."}', "Rooms have numbers."),
        (b'{"reason":{"a":1}}', "error"),
        (b"[]", "error"),
    ],
)
def test_a_refusal_has_a_reason(response: bytes, reason: str) -> None:
    """In the server's words, or at least its status."""
    assert reason == reason_of(Body(status="error", response=msgspec.Raw(response)))
