"""What a node remembers of revocations, and who may ask for one."""

from dataclasses import replace

import pytest

from app.domain.errors import Code, Refusal
from app.identity.model import LEEWAY_SECONDS, Identity, Role
from app.identity.revocation_state import Kind, Revocation, RevokedState, Wanted, wanted
from app.identity.tokens import TTL_SECONDS_MAX, new_session

NOW = 1_800_000_000
SESSION = new_session(NOW)
ANN = Identity("ann", Role.BUYER, "acme", NOW + 600, SESSION, NOW)
OLA = replace(ANN, person="ola", role=Role.OPERATOR, session=new_session(NOW))
OF_SESSION = Revocation("acme", Kind.SESSION, SESSION, 1, NOW, NOW + 600)
OF_PERSON = Revocation("acme", Kind.PERSON, "ann", 2, NOW, NOW + 700)


def knowing(*revocations: Revocation) -> RevokedState:
    """A node that knows these."""
    state = RevokedState()
    for revocation in revocations:
        state.add(revocation)
    return state


@pytest.mark.parametrize(
    ("change", "covered"),
    [
        ({}, True),
        ({"person": "bea"}, True),
        ({"session": new_session(NOW)}, False),
        ({"line": "other"}, False),
    ],
)
def test_a_session_is_one_token_of_one_line(change: dict[str, str], *, covered: bool) -> None:
    """Whoever carries that token is meant, and nobody else."""
    assert covered == knowing(OF_SESSION).covers(replace(ANN, **change))  # type: ignore[arg-type] # texts all


@pytest.mark.parametrize(
    ("change", "covered"),
    [
        ({}, True),
        ({"session": new_session(NOW)}, True),
        ({"issued_at": NOW - 600}, True),
        ({"issued_at": NOW + 1}, False),
        ({"person": "bea"}, False),
        ({"line": "other"}, False),
    ],
)
def test_a_person_is_all_tokens_issued_up_to_the_moment(
    change: dict[str, object], *, covered: bool
) -> None:
    """Those of the same second are meant, later ones are not."""
    assert covered == knowing(OF_PERSON).covers(replace(ANN, **change))  # type: ignore[arg-type] # one each


def test_a_session_and_a_person_of_one_name_are_two() -> None:
    """A person may be called as a session is."""
    namesake = replace(OF_PERSON, name=SESSION)
    assert not knowing(namesake).covers(ANN)
    assert not knowing(OF_SESSION).covers(replace(ANN, person=SESSION, session=new_session(NOW)))


def test_a_person_revoked_again_is_revoked_further() -> None:
    """In whichever order the two are heard of."""
    later = replace(OF_PERSON, position=3, issued_until=NOW + 9, expires_at=NOW + 709)
    new = replace(ANN, issued_at=NOW + 9)
    for state in (knowing(OF_PERSON, later), knowing(later, OF_PERSON, later)):
        assert state.covers(new)
        assert state.size == 1


def test_what_no_longer_matters_is_forgotten_a_few_at_a_time() -> None:
    """And nothing before its time, nor what was revoked once more since."""
    others = [replace(OF_SESSION, name=new_session(NOW)) for _ in range(3)]
    later = replace(OF_PERSON, issued_until=NOW + 9, expires_at=NOW + 709)
    state = knowing(*others, OF_PERSON, later)
    for now, most, left in [
        (NOW + 599, 9, 4),
        (NOW + 600, 2, 2),
        (NOW + 600, 9, 1),
        (NOW + 708, 9, 1),
        (NOW + 709, 9, 0),
    ]:
        state.forget(now, most)
        assert state.size == left


def test_without_a_name_it_is_the_session_that_asks() -> None:
    """That is how anybody signs out; it matters for as long as the token would be taken."""
    own = Wanted(Kind.SESSION, SESSION, NOW + 600 + LEEWAY_SECONDS)
    assert [wanted(ANN, session, None, NOW) for session in (None, SESSION)] == [own, own]


def test_anybody_signs_out_everywhere_and_an_operator_whom_they_like() -> None:
    """It matters until the last token of today has run out, whichever clock issued it."""
    latest = NOW + TTL_SECONDS_MAX + 2 * LEEWAY_SECONDS
    for who in (ANN, OLA):
        assert wanted(who, None, "ann", NOW + 0.5) == Wanted(Kind.PERSON, "ann", latest)


def test_another_session_matters_until_its_token_must_have_run_out() -> None:
    """An operator does not know when, but its id tells when it was issued."""
    asked = wanted(OLA, new_session(NOW - 60), None, NOW)
    assert isinstance(asked, Wanted)
    assert asked.expires_at == NOW - 60 + TTL_SECONDS_MAX + LEEWAY_SECONDS
    far = wanted(OLA, new_session(2**32 - 1), None, NOW)
    assert isinstance(far, Wanted)
    assert far.expires_at == NOW + TTL_SECONDS_MAX + 2 * LEEWAY_SECONDS


@pytest.mark.parametrize(
    ("who", "session", "person", "code"),
    [
        (OLA, SESSION, "ann", Code.INVALID_REQUEST),
        (OLA, "short", None, Code.INVALID_REQUEST),
        (OLA, "", None, Code.INVALID_REQUEST),
        (OLA, None, "no name", Code.INVALID_REQUEST),
        (ANN, new_session(NOW), None, Code.FORBIDDEN),
        (ANN, None, "ola", Code.FORBIDDEN),
        (replace(ANN, role=Role.SELLER), None, "ola", Code.FORBIDDEN),
    ],
)
def test_what_may_not_be_revoked_is_refused(
    who: Identity, session: str | None, person: str | None, code: Code
) -> None:
    """Others than oneself are for operators, and names must be names."""
    refused = wanted(who, session, person, NOW)
    assert isinstance(refused, Refusal)
    assert refused.code is code
