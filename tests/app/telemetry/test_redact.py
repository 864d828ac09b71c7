"""What is logged holds no secret, however it came there, and has an end."""

import pytest

from app.telemetry.redact import (
    DEPTH_MAX,
    MEMBERS_MAX,
    REDACTED,
    TEXT_CHARACTERS_MAX,
    redact,
    redact_text,
)

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJlLXNpZ25hdHVyZQ"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://agio:hush@db:5432/agio", "postgresql://[redacted]@db:5432/agio"),
        ("cannot reach redis://:hush@h/0 now", "cannot reach redis://[redacted]@h/0 now"),
        ("postgresql://db/agio?password=hush&x=1", "postgresql://db/agio?password=[redacted]&x=1"),
        ("host=db password=hush user=x", "host=db password=[redacted] user=x"),
        (f"GET /socket?vsn=2.0.0&token={JWT}", "GET /socket?vsn=2.0.0&token=[redacted]"),
        (f"Authorization: Bearer {JWT}", "Authorization: Bearer [redacted]"),
        (f"it said {JWT}.", "it said [redacted]."),
        ("bearer abcdefghijklmnopqrstuvwxyz", "bearer [redacted]"),
        ("phoenix, base64url.bearer.phx.ZXlKaGJH", "phoenix, base64url.bearer.phx.[redacted]"),
        ("key sk_live_abc123 and whsec_MfKQ9r8G+/=", "key [redacted] and [redacted]"),
        ("http://127.0.0.1:4000/v1/sales/demo", "http://127.0.0.1:4000/v1/sales/demo"),
        ("sale:demo at txn_01jd, basic facts", "sale:demo at txn_01jd, basic facts"),
        ("mail me@example.test", "mail me@example.test"),
    ],
)  # fmt: skip
def test_a_text_loses_its_secrets(text: str, expected: str) -> None:
    """Secrets are found by how they look; what only resembles one stays readable."""
    assert redact_text(text) == expected


@pytest.mark.parametrize(
    "name",
    ["token", "access_token", "AGIO_TOKEN_SECRET", "password", "Authorization", "set-cookie",
     "api_key", "apikey", "credentials", "stripe-signature", "private_key"],
)  # fmt: skip
def test_a_field_with_a_telling_name_is_not_shown(name: str) -> None:
    """A secret that looks like any text is known by its name."""
    assert redact(name, "hush") == REDACTED


def test_numbers_stay_under_any_name() -> None:
    """A count or a lifetime is no secret, whatever it counts."""
    given = {"token_ttl_s": 60, "tokens": 2.5, "has_password": True, "secret": None}
    assert {name: redact(name, value) for name, value in given.items()} == given


def test_nested_values_are_redacted() -> None:
    """A secret inside a list or a mapping is found, by name and by look."""
    given = {"headers": {"Authorization": "hush", "Host": "h"}, "seen": (f"Bearer {JWT}", 1)}
    expected = {
        "headers": {"Authorization": REDACTED, "Host": "h"},
        "seen": ["Bearer [redacted]", 1],
    }
    assert redact("fields", given) == expected


def test_an_exception_is_told_without_its_secrets() -> None:
    """An error is its type and its text, and the text may repeat a URL."""
    error = ConnectionError("no answer from postgresql://agio:hush@db/agio")
    assert (
        redact("error", error) == "ConnectionError: no answer from postgresql://[redacted]@db/agio"
    )


def test_a_group_is_told_by_what_is_inside() -> None:
    """Nurseries wrap exceptions; the reader wants the reason."""
    group = ExceptionGroup("nursery", [ExceptionGroup("nursery", [KeyError("x")]), OSError("y")])
    assert redact("error", group) == "KeyError: 'x'; OSError: y"


def test_other_objects_are_told_by_their_repr() -> None:
    """What has no type of JSON is shown as a programmer would see it."""
    assert redact("bytes", b"\x00") == "b'\\x00'"


def test_everything_has_an_end() -> None:
    """A huge text, list or nest is cut."""
    assert len(str(redact("text", "x" * (10 * TEXT_CHARACTERS_MAX)))) < TEXT_CHARACTERS_MAX + 10
    members = redact("list", list(range(10 * MEMBERS_MAX)))
    assert isinstance(members, list)
    assert len(members) == MEMBERS_MAX
    nest: object = "deepest"
    for _ in range(10 * DEPTH_MAX):
        nest = [nest]
    assert str(redact("nest", nest)).count("[") == 10 * DEPTH_MAX
