"""What an identity may do."""

import pytest

from app.domain.errors import Code
from app.identity.model import Identity, Role, Scope


def _with(role: Role, *scopes: Scope) -> Identity:
    """Somebody in this role, with these scopes."""
    return Identity("ann", role, "acme", 0, "session", 0, frozenset(scopes))


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("scope", list(Scope))
def test_a_scope_is_the_token_s_own_whatever_the_role(role: Role, scope: Scope) -> None:
    """No role and no other scope stands for it, and who lacks it is told its name."""
    assert _with(role, scope).without(scope) is None
    refusal = _with(role, *(each for each in Scope if each is not scope)).without(scope)
    assert refusal is not None
    assert refusal.code is Code.FORBIDDEN
    assert str(scope) in refusal.message


@pytest.mark.parametrize("role", list(Role))
def test_the_ledger_is_read_by_operators_and_by_scope(role: Role) -> None:
    """A right to write is none to read."""
    assert _with(role, Scope.LEDGER_READ).reads_ledger
    writes = (scope for scope in Scope if scope is not Scope.LEDGER_READ)
    assert _with(role, *writes).reads_ledger == (role is Role.OPERATOR)
