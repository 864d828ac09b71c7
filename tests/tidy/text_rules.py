"""The rules on every file, whatever its kind."""

import re
from collections.abc import Iterator
from typing import Final

from tests.tidy.rules import Finding, Rule
from tests.tidy.source import Source

# Written so that this file does not name them itself.
_HOSTS: Final = re.compile(
    r"\bpy[p]i\.org|python[h]osted|npm[j]s\.(org|com)|yarn[p]kg\.com|debian\.or[g]|crates\.i[o]\b",
    re.IGNORECASE,
)
_MACHINE: Final = re.compile(r"(?<![\w.~/])/(wor[k]|roo[t]|home/\w+|Users/\w+|tmp/la[b])/")
_PLACE: Final = re.compile(r"\bCE[O]\b|(?<![\w./])share[d]/")

_PIN: Final = re.compile(r"[a-z0-9][a-z0-9-]*==[^\s;]+( ; .+)? \\")
_HASH: Final = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")


def no_package_hosts(source: Source) -> Iterator[Finding]:
    """Where packages come from is the installing machine's business."""
    yield from _matches(source, _HOSTS, "names a package registry")


def no_machine_paths(source: Source) -> Iterator[Finding]:
    """Nothing depends on where it was written."""
    yield from _matches(source, _MACHINE, "names a path of one machine")
    yield from _matches(source, _PLACE, "speaks of where it was written")


def locks_are_pins_and_hashes(source: Source) -> Iterator[Finding]:
    """A lock holds exact versions and hashes, and nothing else."""
    for number, line in enumerate(source.lines if source.path.suffix == ".lock" else (), 1):
        if not _PIN.fullmatch(line) and not _HASH.fullmatch(line):
            yield number, "is neither a pin nor a hash"


def lines_end_cleanly(source: Source) -> Iterator[Finding]:
    """A text file ends with one line end, and its lines with what is seen."""
    for number, line in enumerate(source.lines, 1):
        if line != line.rstrip() or "\t" in line.lstrip("\t"):
            yield number, "has white space at its end, or a tab within"
    if source.text and (not source.text.endswith("\n") or source.text.endswith("\n\n")):
        yield len(source.lines), "does not end with one line end"


def _matches(source: Source, pattern: re.Pattern[str], what: str) -> Iterator[Finding]:
    for number, line in enumerate(source.lines, 1):
        if pattern.search(line):
            yield number, what


TEXT_RULES: Final[tuple[Rule, ...]] = (
    no_package_hosts,
    no_machine_paths,
    locks_are_pins_and_hashes,
    lines_end_cleanly,
)
