"""What `agio up` prints: snippets for a shell, whatever the folder is called."""

import shlex

from app.banner import banner
from app.identity.tokens import Tokens


def test_a_path_with_a_space_can_be_pasted() -> None:
    """A shell reads the interpreter's path as one word."""
    python = "/a folder/it's/python"
    lines = banner("http://127.0.0.1:4000", Tokens("s" * 32), 3600, python=python).splitlines()
    (command,) = (line for line in lines if line.endswith("<<'END'"))
    assert shlex.split(command) == [python, "-", "<<END"]
