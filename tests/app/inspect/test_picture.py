"""The picture of a tree, to the letter."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.tree import Vitals
from app.inspect.picture import ASCII, Canvas, age, plain, render
from tests.app.inspect.trees import actor, place, snapshot, supervisor

TREE = supervisor(
    "agio",
    "rest_for_one",
    supervisor("servers", "one_for_one", place("postgres"), place("valkey")),
    supervisor(
        "node",
        "rest_for_one",
        place("relay", state="waiting", age_s=0.0, restarts=3),
        supervisor(
            "transactions",
            "dynamic",
            actor("order-1", age_s=3.21, mailbox={"waiting": 3, "peak": 12}),
            actor("order-2", age_s=42.0, mailbox={"dropped": 5, "lost": 1}),
        ),
        supervisor("connections", "dynamic", place("connection-1"), hidden=9980),
        place("listener"),
    ),
)

WHOLE = """\
Agio at http://127.0.0.1:4000, up 5 min
5 supervisors, 2 actors, 5 tasks, 3 restarts, 3 messages waiting, 9980 not listed

  NAME                KIND          STATE      AGE  RESTARTS  MAILBOX  PEAK
  agio                rest_for_one  running  5 min         0
  ├ servers           one_for_one   running  5 min         0
  │ ├ postgres        task          running  5 min         0
  │ └ valkey          task          running  5 min         0
  └ node              rest_for_one  running  5 min         0
    ├ relay           task          waiting      -         3
    ├ transactions    dynamic       running  5 min         0
    │ ├ order-1       actor         running  3.2 s         0     3/64    12
    │ └ order-2       actor         running   42 s         0     0/64     0  5 dropped, 1 lost
    ├ connections     dynamic       running  5 min         0
    │ ├ connection-1  task          running  5 min         0
    │ └ 9980 more
    └ listener        task          running  5 min         0"""

LOW = """\
Agio at http://127.0.0.1:4000, up 5 min
5 supervisors, 2 actors, 5 tasks, 3 restarts, 3 messages waiting, 9980 not listed

  NAME              KIND          STATE      AGE  RESTARTS  MAILBOX  PEAK
  agio              rest_for_one  running  5 min         0
  ├ servers         one_for_one   running  5 min         0
  │ ├ postgres      task          running  5 min         0
  │ └ valkey        task          running  5 min         0
  └ node            rest_for_one  running  5 min         0
    ├ relay         task          waiting      -         3
    ├ transactions  dynamic       running  5 min         0
    │ └ 2 more
    └ 2 more"""

NARROW = """\
Agio at http://127.0.0.1:4000, up 5 min
1 supervisor, 1 actor, 0 tasks, 0 restarts, 0 messages waiting

  NAME                   STATE      AGE  RESTARTS  MAILBOX  PEAK
  agio                   running  5 min         0
  └ transaction:demo/d…  running  5 min         0     0/64     0"""


def picture(tree: Vitals, canvas: Canvas, *, before: Vitals | None = None) -> str:
    """The picture as one text."""
    earlier = None if before is None else snapshot(before, uptime_s=295.0)
    return "\n".join(render(snapshot(tree), canvas, before=earlier))


def test_the_whole_tree_is_drawn_where_there_is_room() -> None:
    """Each place has its line: what it is, how it is, how old, how often restarted, its mailbox."""
    assert picture(TREE, Canvas()) == WHOLE


def test_a_terminal_that_is_low_shows_what_is_near_the_root() -> None:
    """What there is no line for is counted where it is left out."""
    assert picture(TREE, Canvas(height=14)) == LOW


def test_a_terminal_that_is_narrow_goes_without_kinds_and_cuts_names() -> None:
    """States, ages, restarts and mailboxes stay, as far as there is room."""
    tree = supervisor("agio", "dynamic", actor("transaction:demo/demo-buyer/order-1"))
    assert picture(tree, Canvas(width=64)) == NARROW


@given(st.integers(1, 130), st.integers(1, 40), st.booleans())
def test_every_picture_fits_its_terminal(width: int, height: int, colour: bool) -> None:  # noqa: FBT001 - hypothesis draws it
    """No line is longer, there are no more lines, and every look that begins ends."""
    lines = render(snapshot(TREE), Canvas(width, height, colour=colour), trouble="no answer" * 9)
    assert 1 <= len(lines) <= height
    for line in lines:
        assert len(re.sub(r"\x1b\[\d+m", "", line)) <= width
        assert re.fullmatch(r"([^\x1b]|\x1b\[[1-9]\d*m[^\x1b]+\x1b\[0m)*", line)


def test_what_changed_is_marked() -> None:
    """A place that began has a plus, one that was started again an exclamation mark."""
    before = supervisor("agio", "one_for_one", place("hub"), place("old"))
    now = supervisor(
        "agio", "one_for_one", place("hub", age_s=1.0, restarts=1), place("fresh", age_s=2.0)
    )
    assert picture(now, Canvas(), before=before).splitlines()[2:] == [
        "1 restarted (!), 1 new (+), 1 gone",
        "  NAME     KIND         STATE      AGE  RESTARTS  MAILBOX  PEAK",
        "  agio     one_for_one  running  5 min         0",
        "! ├ hub    task         running  1.0 s         1",
        "+ └ fresh  task         running  2.0 s         0",
    ]


def test_what_changed_is_marked_also_where_it_is_left_out() -> None:
    """A line that counts others has the mark of what was started again among them."""
    before = supervisor("agio", "dynamic", *(place(f"p{n}") for n in range(9)))
    later = (place(f"p{n}", restarts=int(n == 7)) for n in range(9))
    now = supervisor("agio", "dynamic", *later)
    lines = picture(now, Canvas(height=8), before=before).splitlines()
    assert lines[-1] == "! └ 7 more"
    assert [line[0] for line in lines[4:]] == [" ", " ", " ", "!"]


def test_trouble_takes_the_place_of_what_changed() -> None:
    """A picture that is not the newest says why."""
    lines = render(snapshot(place("agio")), Canvas(), trouble="cannot reach it")
    assert lines[2] == "cannot reach it"


def test_colours_are_for_states_and_marks() -> None:
    """Without its colours a picture says the same."""
    coloured = picture(TREE, Canvas(colour=True))
    assert "\x1b[32mrunning\x1b[0m" in coloured
    assert "\x1b[33mwaiting\x1b[0m" in coloured
    assert re.sub(r"\x1b\[\d+m", "", coloured) == WHOLE


def test_a_terminal_without_lines_has_them_drawn_with_letters() -> None:
    """Everything is ASCII then."""
    shown = picture(TREE, Canvas(width=60, glyphs=ASCII))
    assert shown.isascii()
    assert "  | `-9980 more" in shown


def test_a_part_of_the_tree_says_which() -> None:
    """The path stands above it."""
    lines = render(snapshot(place("hub"), path="agio/node/hub"), Canvas())
    assert lines[0] == "Agio at http://127.0.0.1:4000, up 5 min: agio/node/hub"


def test_a_name_cannot_command_the_terminal() -> None:
    """What is no plain letter takes one column and says nothing."""
    assert plain("a\x1b[2Jb\n\u202ec漢\x9b") == "a?[2Jb??c??"
    shown = picture(place("evil\x1b[2J"), Canvas())
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0, "0.0 s"),
        (3.21, "3.2 s"),
        (9.94, "9.9 s"),
        (42.9, "42 s"),
        (60.0, "1 min"),
        (359.0, "5 min"),
        (3_599.0, "59 min"),
        (7_200.0, "2 h"),
        (47.9 * 3_600, "47 h"),
        (3.5 * 86_400, "3 d"),
    ],
)
def test_an_age_is_told_as_people_say_it(seconds: float, said: str) -> None:
    """One unit, and no more digits than anybody reads."""
    assert age(seconds) == said
