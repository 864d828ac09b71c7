"""A file of the work tree, as the rules see it."""

import ast
import io
import subprocess
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Final

ROOT: Final = Path(__file__).parents[2]

# What no person reads and no rule can judge.
_NOT_TEXT: Final = frozenset({".png", ".ico", ".gz", ".bin"})

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, eq=False)
class Source:
    """One file.

    Attributes:
        name: its path from the root, with slashes.
        text: what it says.
        lines: where each finding points to.
    """

    name: str
    text: str
    lines: list[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lines", self.text.splitlines())

    @property
    def path(self) -> PurePosixPath:
        """Its path from the root."""
        return PurePosixPath(self.name)

    @property
    def is_python(self) -> bool:
        """Whether it is a Python file."""
        return self.path.suffix == ".py"

    @property
    def is_test(self) -> bool:
        """Whether it is below tests/."""
        return self.path.parts[0] == "tests"

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree, where every node knows its parent as `parent`."""
        tree = ast.parse(self.text, self.name)
        for node in ast.walk(tree):
            for child in ast.iter_child_nodes(node):
                vars(child)["parent"] = node
        return tree

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node of the tree."""
        return list(ast.walk(self.tree))

    @cached_property
    def functions(self) -> list[Function]:
        """Every function and method."""
        return [node for node in self.nodes if isinstance(node, Function)]

    @cached_property
    def calls(self) -> list[tuple[str, ast.Call]]:
        """Every call, with the dotted name of what is called; "" where that is no name."""
        calls = [node for node in self.nodes if isinstance(node, ast.Call)]
        return [(dotted(call.func), call) for call in calls]

    @cached_property
    def comments(self) -> list[tuple[int, str]]:
        """Every comment with its line."""
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return [(t.start[0], t.string) for t in tokens if t.type == tokenize.COMMENT]

    @cached_property
    def imports(self) -> list[tuple[str, ast.stmt]]:
        """Every imported module or module member, dotted."""
        found: list[tuple[str, ast.stmt]] = []
        for node in self.nodes:
            if isinstance(node, ast.Import):
                found += [(alias.name, node) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                found += [(f"{node.module}.{alias.name}", node) for alias in node.names]
        return found


def parents(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes around `node`, the nearest first."""
    while (above := getattr(node, "parent", None)) is not None:
        node = above
        yield node


def dotted(node: ast.AST) -> str:
    """The dotted name that an expression spells, or ""."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (above := dotted(node.value)):
        return f"{above}.{node.attr}"
    return ""


def read_tree(root: Path) -> Iterable[Source]:
    """Every text file that git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],  # noqa: S607 - git, wherever it is
        cwd=root,
        check=True,
        capture_output=True,
    )
    for name in sorted(set(listed.stdout.decode().split("\0")) - {""}):
        path = root / name
        if path.suffix not in _NOT_TEXT and path.is_file():
            yield Source(name, path.read_text("utf-8"))
