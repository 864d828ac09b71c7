"""How a refusal looks to a Phoenix client."""

import pytest

from app.domain.errors import MEANINGS, Code, Refusal
from app.socket.refusal import response_of
from channels.protocol import BUSY


@pytest.mark.parametrize("code", Code)
def test_every_refusal_has_one_shape(code: Code) -> None:
    """Code, message, whether to retry, and the code again as the reason."""
    meaning = MEANINGS[code]
    assert response_of(Refusal(code)) == {
        "code": code.value,
        "message": meaning.message,
        "retryable": meaning.retryable,
        "reason": code.value,
    }


def test_the_channels_own_busy_looks_like_ours() -> None:
    """A push that found no room is refused by the layer below in the same words."""
    assert response_of(Refusal(Code.BUSY)) == dict(BUSY)
