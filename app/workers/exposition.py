"""The metrics of several workers as one text for Prometheus, each sample with its worker. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

# A family's two lines of comment name it in the third word.
_COMMENTS: Final = ("# HELP ", "# TYPE ")
_LABEL: Final = "worker"


@dataclass(slots=True)
class _Family:
    """Of one name: its comments, and the samples of all workers."""

    comments: list[str] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)


def merged(texts: Mapping[int, str]) -> str:
    """One exposition of all.

    Args:
        texts: each worker's own, by its number.
    """
    families: dict[str, _Family] = {}
    for worker, text in texts.items():
        family = families.setdefault("", _Family())  # of what has no comments
        for line in text.splitlines():
            if line.startswith(_COMMENTS):
                family = families.setdefault(line.split(" ", 3)[2], _Family())
                if line not in family.comments:
                    family.comments.append(line)
            elif line and not line.startswith("#"):
                family.samples.append(labelled(line, worker))
    lines = (each for family in families.values() for each in (*family.comments, *family.samples))
    return "".join(f"{line}\n" for line in lines)


def labelled(sample: str, worker: int) -> str:
    """A sample with one label more."""
    name, brace, rest = sample.partition("{")
    if brace and " " not in name:
        return f'{name}{{{_LABEL}="{worker}",{rest}'
    name, _, value = sample.partition(" ")
    return f'{name}{{{_LABEL}="{worker}"}} {value}'


def gauge(name: str, told: str, values: Mapping[int, int]) -> str:
    """A family of our own, with one sample for each worker."""
    samples = "".join(
        f'{name}{{{_LABEL}="{worker}"}} {value}\n' for worker, value in values.items()
    )
    kind = "counter" if name.endswith("_total") else "gauge"
    return f"# HELP {name} {told}\n# TYPE {name} {kind}\n{samples}"
