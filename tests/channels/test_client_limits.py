"""Limits as values: what they allow, and how they are spelt."""

from dataclasses import fields

import pytest

from channels.client_limits import ClientLimits, Limit, LimitName, Mode


@pytest.mark.parametrize(
    ("limit", "spelt"),
    [
        (Limit(5), "off"),
        (Limit(5, Mode.DRY_RUN), "5:dry_run"),
        (Limit(5, Mode.ENFORCE), "5"),
    ],
)
def test_a_limit_is_spelt_as_its_setting(limit: Limit, spelt: str) -> None:
    """So that a default can be read where it is shown."""
    assert str(limit) == spelt


def test_what_equals_a_limit_is_allowed() -> None:
    """And where it is off, everything is."""
    assert [False, True] == [Limit(5, Mode.DRY_RUN).is_exceeded_by(count) for count in (5, 6)]
    assert not Limit().is_exceeded_by(1)


def test_each_name_is_a_limit() -> None:
    """And all are off unless they are given."""
    limits = ClientLimits()
    assert [field.name for field in fields(limits)] == [name.value for name in LimitName]
    assert {Limit()} == {limits.of(name) for name in LimitName}
