"""Frames at random through both lanes: a million of them by hand, some thousands here."""

import pytest

from tests.channels.stress import stress


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_every_answer_is_as_it_must_be(seed: int) -> None:
    """Byte for byte, whatever is injected between them."""
    done = await stress(seed, 3_000)
    assert done.frames >= 3_000
    assert done.injected > 100
