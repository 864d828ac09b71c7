"""Every refusal as a problem document."""

import msgspec
import pytest

from app.domain.errors import MEANINGS, Code, Refusal
from app.http.problem import PROBLEM, Problem, meaning_of, problem
from app.ledger.codes import LEDGER_MEANINGS, LedgerCode
from app.ledger.model import PostingRefused


@pytest.mark.parametrize("code", list(Code))
def test_every_code_has_its_document(code: Code) -> None:
    """Each code is rendered whole, under its own status and type."""
    response = problem(Refusal(code, "Because."))
    document = msgspec.json.decode(response.body, type=Problem)
    meaning = MEANINGS[code]
    assert (response.status, response.header("content-type")) == (meaning.status, PROBLEM)
    assert document == Problem(
        type=f"/problems/{code}",
        title=meaning.message,
        status=meaning.status,
        detail="Because.",
        code=code,
        message="Because.",
        retryable=meaning.retryable,
    )


@pytest.mark.parametrize("code", list(Code))
def test_the_headers_say_what_to_do_next(code: Code) -> None:
    """401 says how to authenticate, a retryable 503 when to come back, others neither."""
    response = problem(Refusal(code))
    assert (response.header("www-authenticate") is not None) == (code is Code.UNAUTHORIZED)
    assert (response.header("retry-after") is not None) == (response.status == 503)


def test_a_more_exact_status_may_be_told() -> None:
    """The status in the document is the one on the line."""
    response = problem(Refusal(Code.TOO_LARGE), status=431)
    assert (response.status, msgspec.json.decode(response.body)["status"]) == (431, 431)


@pytest.mark.parametrize("code", list(LedgerCode))
def test_every_refusal_of_a_posting_has_its_document(code: LedgerCode) -> None:
    """Under a status of its own, with the transfer that is at fault, where one is."""
    response = problem(PostingRefused(code, 3))
    document = msgspec.json.decode(response.body, type=Problem)
    assert (document.code, document.leg, document.status) == (code, 3, response.status)
    assert (document.message, document.retryable) == LEDGER_MEANINGS[code]
    assert response.status in {404, 409, 422}
    assert b"leg" not in problem(PostingRefused(code)).body


def test_a_code_of_both_lists_means_the_same_in_both() -> None:
    """Callers match on its name, wherever it comes from."""
    shared = [(code, other) for code in Code for other in LedgerCode if code.value == other.value]
    assert shared
    for code, other in shared:
        assert meaning_of(code)[1:] == meaning_of(other)[1:]
