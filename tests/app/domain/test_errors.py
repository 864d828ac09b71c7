"""The closed list of refusals says of each code what every edge needs."""

import pytest

from app.domain.errors import MEANINGS, Code, Refusal


@pytest.mark.parametrize("code", Code)
def test_every_code_has_its_meaning(code: Code) -> None:
    """A code has a sentence, and a status that fits whether it may be tried again."""
    meaning = MEANINGS[code]
    assert meaning.message.endswith(".")
    assert 400 <= meaning.status <= 599
    assert meaning.retryable or meaning.status < 500


@pytest.mark.parametrize("code", Code)
def test_the_wire_form(code: Code) -> None:
    """Each refusal goes out as code, message and whether to try again."""
    refusal = Refusal(code)
    assert refusal.to_wire() == {
        "code": code.value,
        "message": MEANINGS[code].message,
        "retryable": MEANINGS[code].retryable,
    }
    assert refusal.status == MEANINGS[code].status


def test_a_detail_is_more_exact() -> None:
    """A detail takes the place of the code's own sentence."""
    assert Refusal(Code.NOT_FOUND, "There is no such sale.").message == "There is no such sale."


def test_nothing_has_a_meaning_but_codes() -> None:
    """The table holds no code that is not on the list."""
    assert set(MEANINGS) == set(Code)
