"""SQL lives in `.sql` files, as named and described queries.

    -- name: account_by_id
    -- One account with its balances; no row where there is none.
    select … where id = $1;

`load_queries` gives an object with one attribute a query, its text. A file that does not keep to
this form is a bug of ours and fails when the module that loads it is imported.
"""

import re
from importlib import resources
from typing import Final

_NAME: Final = re.compile(r"-- name: (?P<name>[a-z][a-z0-9_]*)")


class Queries:
    """The named queries of one file, each an attribute that holds SQL text."""

    def __init__(self, source: str, texts: dict[str, str]) -> None:
        self._source = source
        self._texts = texts

    def __getattr__(self, name: str) -> str:
        try:
            return self._texts[name]
        except KeyError:
            raise AttributeError(f"{self._source} has no query named {name}") from None

    def __dir__(self) -> list[str]:
        return sorted(self._texts)


def load_queries(package: str, name: str = "queries.sql") -> Queries:
    """The queries of the file `name` beside the modules of `package`."""
    source = f"{package}/{name}"
    text = resources.files(package).joinpath(name).read_text("utf-8")
    return Queries(source, parse_queries(text, source))


def parse_queries(text: str, source: str) -> dict[str, str]:
    """The queries of a file's text, by name."""
    preamble, *blocks = re.split(r"^(?=-- name:)", text, flags=re.MULTILINE)
    for line in preamble.splitlines():
        assert not line or line.startswith("--"), f"{source}: before the first name: {line!r}"
    assert blocks, f"{source}: no query, each begins with '-- name: …'"
    queries: dict[str, str] = {}
    for block in blocks:
        name, query = _parse_block(block, source)
        assert name not in queries, f"{source}: {name} is there twice"
        queries[name] = query
    return queries


def _parse_block(block: str, source: str) -> tuple[str, str]:
    """One query's name and text."""
    head, *lines = block.strip().splitlines()
    match = _NAME.fullmatch(head.rstrip())
    assert match, f"{source}: {head!r} is not of the form '-- name: lower_case'"
    name = match["name"]
    described = 0
    while described < len(lines) and lines[described].startswith("--"):
        described += 1
    words = " ".join(line.removeprefix("--").strip() for line in lines[:described])
    assert words.strip(), f"{source}: {name} has no comment that describes it"
    query = "\n".join(lines[described:]).strip().removesuffix(";")
    assert query, f"{source}: {name} has no SQL"
    return name, query
