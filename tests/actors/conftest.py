"""Fixtures for tests of actors. A test in which time passes takes `autojump_clock` too."""

import pytest

from tests.actors.support import Journal


@pytest.fixture
def journal() -> Journal:
    """What happened in this test."""
    return Journal()
