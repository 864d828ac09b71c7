"""The picture of a tree, as lines for a terminal or a file. Pure.

Every character of a name takes one column: what is not plain ASCII, as a client may have put into a
name, is shown as `?`, so that it can neither shift a column nor command the terminal.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from actors.mailbox_statistics import MailboxStatistics
from actors.tree import Vitals
from app.inspect.model import Changes, Snapshot, compare, totals, trimmed

_HEADS: Final = ("NAME", "KIND", "STATE", "AGE", "RESTARTS", "MAILBOX", "PEAK", "")
_NAME, _KIND, _STATE, _LOSSES = (_HEADS.index(head) for head in ("NAME", "KIND", "STATE", ""))
_RIGHT: Final = frozenset({"AGE", "RESTARTS", "MAILBOX", "PEAK"})
_GAP: Final = "  "
_UNMARKED: Final = " "

# Names are cut where a line is too long, but not below this: then the line's end goes.
_NAME_COLUMNS_MIN: Final = 21

# What a terminal calls its colours (SGR); the plain look is "".
_PLAIN, _BOLD, _RED, _GREEN, _YELLOW, _CYAN = "", "1", "31", "32", "33", "36"
_STATES: Final = {
    "starting": _CYAN,
    "running": _GREEN,
    "stopping": _YELLOW,
    "waiting": _YELLOW,
    "ended": _RED,
}

# How long is told in which unit: seconds in one, what it is called, and until when.
_UNITS: Final = ((1, "s", 60), (60, "min", 3_600), (3_600, "h", 48 * 3_600))
_DAY_S: Final = 24 * 3_600

# Text and its look, side by side in a line.
_Segments = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Glyphs:
    """What the branches are drawn with: each of the first four takes two columns."""

    child: str
    last: str
    past: str
    blank: str
    cut: str


LINES: Final = Glyphs("├ ", "└ ", "│ ", "  ", "…")
ASCII: Final = Glyphs("|-", "`-", "| ", "  ", "~")


@dataclass(frozen=True, slots=True)
class Canvas:
    """What is drawn on.

    Attributes:
        width: its columns; None: as many as are needed.
        height: its lines; None: as many as are needed.
        colour: whether it understands SGR.
        glyphs: what it can show.
    """

    width: int | None = None
    height: int | None = None
    colour: bool = False
    glyphs: Glyphs = LINES


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the tree: a mark, the cells under `_HEADS`, and the look of the state."""

    mark: str
    cells: tuple[str, ...]
    look: str = _PLAIN


def render(
    now: Snapshot, canvas: Canvas, *, before: Snapshot | None = None, trouble: str = ""
) -> list[str]:
    """The picture.

    Args:
        now: what is shown.
        canvas: what it is to fit. Lines that do not are cut; places for which there is no line are
            counted where they are left out.
        before: an earlier look; what began or was started again since is marked.
        trouble: why `now` is not newer, where it is not.
    """
    changes = compare(before, now) if before else Changes()
    top = _top(now, changes, trouble)
    tree = now.tree
    if canvas.height is not None:
        tree = _lowered(tree, max(canvas.height - len(top) - 1, 1))
    lines = [*top, *_table(_rows(tree, changes, canvas.glyphs), canvas)]
    return [_paint(line, canvas) for line in lines[: canvas.height]]


def age(seconds: float) -> str:
    """How long, as people say it: `3.2 s`, `42 s`, `5 min`, `2 h`, `3 d`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    for unit, name, until in _UNITS:
        if seconds < until:
            return f"{seconds // unit:.0f} {name}"
    return f"{seconds // _DAY_S:.0f} d"


def plain(text: str) -> str:
    """`text` with one column for each character, and no commands to a terminal in it."""
    return "".join(each if " " <= each <= "~" else "?" for each in text)


def _top(now: Snapshot, changes: Changes, trouble: str) -> list[_Segments]:
    """What stands above the tree: where, how much, and what changed."""
    found = totals(now.tree)
    where = f"Agio at {plain(now.url)}, up {age(now.uptime_s)}"
    where += f": {plain(now.path)}" if now.path != now.tree.name else ""
    counts = ", ".join(
        _count(number, word)
        for number, word in (
            (found.supervisors, "supervisor"),
            (found.actors, "actor"),
            (found.tasks, "task"),
            (found.restarts, "restart"),
        )
    )
    counts += f", {_count(found.waiting, 'message')} waiting"
    counts += f", {found.hidden} not listed" if found.hidden else ""
    return [[(where, _BOLD)], [(counts, _PLAIN)], _news(changes, trouble)]


def _news(changes: Changes, trouble: str) -> _Segments:
    if trouble:
        return [(plain(trouble), _RED)]
    told = [
        f"{number} {word}"
        for number, word in (
            (len(changes.restarted), "restarted (!)"),
            (len(changes.new), "new (+)"),
            (changes.gone, "gone"),
        )
        if number
    ]
    return [(", ".join(told), _YELLOW)]


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _lowered(tree: Vitals, height: int) -> Vitals:
    """The tree with so few places that it takes at most so many lines, but at least its top."""
    for places in range(height, 0, -1):
        if sum(1 + bool(place.hidden) for _, place in tree.walk()) <= height:
            break
        tree = trimmed(tree, places=places, children=places)
    return tree


def _rows(tree: Vitals, changes: Changes, glyphs: Glyphs) -> list[_Row]:
    def below(place: Vitals, path: str, stem: str) -> Iterator[_Row]:
        for left, child in zip(reversed(range(len(place.children))), place.children, strict=True):
            is_last = left == 0 and not place.hidden
            fork, trunk = (glyphs.last, glyphs.blank) if is_last else (glyphs.child, glyphs.past)
            at = f"{path}/{child.name}"
            yield _row(child, stem + fork, at, changes)
            yield from below(child, at, stem + trunk)
        if place.hidden:
            shown = tuple(f"{path}/{child.name}" for child in place.children)
            mark = _mark_below(path, shown, changes)
            yield _Row(mark, (f"{stem}{glyphs.last}{place.hidden} more",))

    return [_row(tree, "", tree.name, changes), *below(tree, tree.name, "")]


def _mark_below(path: str, shown: tuple[str, ...], changes: Changes) -> str:
    """The mark of what is left out below a path: that something there was started again."""
    inside = (each for each in changes.restarted if each.startswith(f"{path}/"))
    around = tuple(f"{each}/" for each in shown)
    return "!" if any(not f"{each}/".startswith(around) for each in inside) else _UNMARKED


def _row(place: Vitals, stem: str, path: str, changes: Changes) -> _Row:
    mark = "!" if path in changes.restarted else "+" if path in changes.new else _UNMARKED
    mailbox = place.mailbox
    cells = (
        stem + plain(place.name),
        plain(place.detail or place.kind),
        plain(place.state),
        age(place.age_s) if place.age_s else "-",
        str(place.restarts),
        f"{mailbox.waiting}/{mailbox.capacity}" if mailbox else "",
        str(mailbox.peak) if mailbox else "",
        _losses(mailbox) if mailbox else "",
    )
    return _Row(mark, cells, _STATES.get(place.state, _PLAIN))


def _losses(mailbox: MailboxStatistics) -> str:
    """What an operator should know of a mailbox beyond its depth, as far as there is any."""
    return ", ".join(
        f"{number} {word}"
        for number, word in (
            (mailbox.writers_waiting, "waiting for room"),
            (mailbox.dropped, "dropped"),
            (mailbox.refused, "refused"),
            (mailbox.lost, "lost"),
            (mailbox.quarantined, "quarantined"),
        )
        if number
    )


def _table(rows: Sequence[_Row], canvas: Canvas) -> list[_Segments]:
    """The rows under their heads, in columns as wide as what is in them."""
    heads = _Row(_UNMARKED, _HEADS)
    widths = {
        column: max(len(row.cells[column]) for row in (heads, *rows) if column < len(row.cells))
        for column in range(len(_HEADS))
    }
    if not widths[_LOSSES]:
        del widths[_LOSSES]
    if canvas.width is not None:
        _fit(widths, canvas.width)
    cut = canvas.glyphs.cut
    return [_line(row, widths, cut) for row in (heads, *rows)]


def _fit(widths: dict[int, int], width: int) -> None:
    """Give way where lines are longer than this: kinds go before names are cut short."""

    def room() -> int:
        return width - sum(len(_GAP) + each for column, each in widths.items() if column)

    if room() - len(_GAP) < min(widths[_NAME], _NAME_COLUMNS_MIN):
        del widths[_KIND]
    widths[_NAME] = min(widths[_NAME], max(room() - len(_GAP), _NAME_COLUMNS_MIN))


def _line(row: _Row, widths: Mapping[int, int], cut: str) -> _Segments:
    line = [(row.mark, _YELLOW if row.mark != _UNMARKED else _PLAIN)]
    for column, width in widths.items():
        if column >= len(row.cells):
            break
        cell = _cut(row.cells[column], width, cut)
        line.append((" " if column == _NAME else _GAP, _PLAIN))
        look = row.look if column == _STATE else _PLAIN
        line.append((cell.rjust(width) if _HEADS[column] in _RIGHT else cell.ljust(width), look))
    return line


def _cut(text: str, width: int, cut: str) -> str:
    return text if len(text) <= width else text[: max(width - len(cut), 0)] + cut


def _paint(line: _Segments, canvas: Canvas) -> str:
    """The line, cut to the canvas, without blanks at its end."""
    whole = "".join(text for text, _ in line).rstrip()
    kept = whole if canvas.width is None else _cut(whole, canvas.width, canvas.glyphs.cut)
    painted, at = [], 0
    for text, look in line:
        shown = kept[at : at + len(text)]
        at += len(text)
        painted.append(f"\x1b[{look}m{shown}\x1b[0m" if canvas.colour and look and shown else shown)
    return "".join(painted)
