"""What `agio up` prints: snippets for a shell, whatever the folder is called."""

import shlex

from app.banner import banner
from app.identity.model import Identity, Role, Scope
from app.identity.tokens import Tokens


def test_a_path_with_a_space_can_be_pasted() -> None:
    """A shell reads the interpreter's path as one word."""
    python = "/a folder/it's/python"
    lines = banner("http://127.0.0.1:4000", Tokens("s" * 32), 3600, python=python).splitlines()
    (command,) = (line for line in lines if line.endswith("<<'END'"))
    assert shlex.split(command) == [python, "-", "<<END"]


def test_the_operator_alone_may_post_to_the_ledger() -> None:
    """The demo's operator has every scope, buyer and seller have none."""
    tokens = Tokens("s" * 32)
    shown = banner("http://127.0.0.1:4000", tokens, 3600).split()
    for role in Role:
        identity = tokens.verify(shown[shown.index(role.value, shown.index("role,")) + 1])
        assert isinstance(identity, Identity)
        assert (identity.role, identity.scopes) == (
            role,
            frozenset(Scope if role is Role.OPERATOR else ()),
        )
