"""The report: a page that needs nothing else, and the same plot as pixels."""

import re
import struct
import zlib
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest

from app.loadtest.errors import LoadTestError
from app.loadtest.font import ASCENT, COLUMNS, GLYPHS
from app.loadtest.histogram import Histogram
from app.loadtest.plot import HEIGHT, INKS, WIDTH, Align, Point, draw
from app.loadtest.png import SCALE, PngCanvas
from app.loadtest.report import page, write_report
from app.loadtest.summary import QUANTILES
from app.loadtest.svg import SvgCanvas
from tests.app.loadtest.runs import MS, PLAN, summary

_PAPER, _TEXT, _P50 = (list(INKS).index(ink) for ink in ("paper", "text", "p50"))


def pixels(data: bytes) -> list[bytes]:
    """The rows of a picture, an ink a byte, having checked each piece of the file."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    at, pieces = 8, {}
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + size]
        assert (zlib.crc32(kind + body),) == struct.unpack_from(">I", data, at + 8 + size)
        pieces[kind] = body
        at += 12 + size
    assert [b"IHDR", b"PLTE", b"IDAT", b"IEND"] == list(pieces)
    width, height, *rest = struct.unpack(">IIBBBBB", pieces[b"IHDR"])
    assert (WIDTH * SCALE, HEIGHT * SCALE, [8, 3, 0, 0, 0]) == (width, height, rest)
    assert 3 * len(INKS) == len(pieces[b"PLTE"])
    raw = zlib.decompress(pieces[b"IDAT"])
    rows = [raw[row * (width + 1) : (row + 1) * (width + 1)] for row in range(height)]
    assert {0} == {row[0] for row in rows}
    return [row[1:] for row in rows]


@pytest.mark.slow
def test_a_page_and_a_picture_are_written(tmp_path: Path) -> None:
    """Side by side, whatever the page is called."""
    written = write_report(summary(), tmp_path / "monday.html")
    assert [tmp_path / "monday.html", tmp_path / "monday.png"] == written
    assert written == write_report(summary(), tmp_path / "monday")
    assert tmp_path / "v1.2.png" == write_report(summary(), tmp_path / "v1.2")[1]
    assert "<h1>ws://127.0.0.1:4000/socket/websocket</h1>" in written[0].read_text("utf-8")
    assert pixels(written[1].read_bytes())


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    """In one line."""
    with pytest.raises(LoadTestError, match=r"no/where\.html: No such file or directory"):
        write_report(summary(), tmp_path / "no" / "where")


def test_the_page_needs_nothing_else() -> None:
    """No script, no font, no style and no picture from anywhere, and no letter unescaped."""
    told = page(summary(refused=1, refusal="<script>alert(1)</script>"))
    assert "&lt;script&gt;" in told
    assert not re.search(r"<script|<link|<img|src=|href=|@import|url\(", told)


def test_the_plots_are_in_the_page() -> None:
    """As elements that are well-formed, with a line for each of three percentiles."""
    canvas = SvgCanvas()
    draw(canvas, summary())
    svg = ET.fromstring(canvas.finish())  # noqa: S314 - our own
    said = [element.text for element in svg.iter("text")]
    assert {"latency over time", "deliveries by latency", "p99.9", "1 ms", "0 s", "1 s"} <= set(
        said
    )
    lines = [element for element in svg.iter("polyline") if element.get("stroke-width") == "2"]
    points = [len(str(line.get("points")).split()) for line in lines]
    assert [10, 2] * 3 == points
    for number in re.findall(r"[\d.]+(?=[, \"])", " ".join(str(e.get("points")) for e in lines)):
        assert 0 <= float(number) <= WIDTH


def test_bars_are_equally_wide_and_no_step_is_of_their_own_making() -> None:
    """Latencies that are spread evenly over the axis make bars of one height."""
    spread = Histogram({})
    for step in range(20_000):
        spread.add(int(MS * 2 ** (step / 5_000)))
    canvas = SvgCanvas()
    draw(canvas, msgspec.structs.replace(summary(), latency=spread))
    svg = ET.fromstring(canvas.finish())  # noqa: S314 - our own
    bars = list(svg.iter("rect"))[2:-2]
    assert 28 <= len(bars)
    for side in ("width", "height"):
        sizes = [float(str(bar.get(side))) for bar in bars]
        assert max(sizes) < 1.05 * min(sizes)


class Names:
    """A canvas that keeps what stands where: upright lines, and the names of percentiles."""

    def __init__(self) -> None:
        self.lines: list[tuple[float, float, float]] = []  # where, from, to
        self.boxes: list[tuple[float, float, float, float]] = []  # left, top, right, bottom

    def line(self, points: Sequence[Point], ink: str, width: int) -> None:
        """Keep it if it is one."""
        (across, top), *_, (end, bottom) = points
        if across == end and ink == "p99":
            self.lines.append((across, top, bottom))

    def bar(self, corner: Point, size: Point, ink: str) -> None:
        """Nothing."""

    def text(self, place: Point, said: str, ink: str, align: Align) -> None:
        """Keep it if it is one, of the widest letters that there are."""
        if said in QUANTILES and place[1] > HEIGHT / 2:
            before = {"start": 0.0, "middle": 0.5, "end": 1.0}[align]
            left, width = place[0] - before * len(said) * 8, len(said) * 8
            self.boxes.append((left, place[1] - 10, left + width, place[1] + 3))


@pytest.mark.parametrize("spread", [1.0, 1.001, 1.01, 1.1, 2.0, 1_000.0])
def test_no_name_crosses_another_nor_a_line(spread: float) -> None:
    """However close the percentiles are to each other, or to an edge."""
    latency = Histogram({})
    for step in range(2_000):
        latency.add(int(MS * spread ** (step / 2_000)))
    canvas = Names()
    draw(canvas, msgspec.structs.replace(summary(), latency=latency))
    assert len(canvas.lines) == len(canvas.boxes) == len(QUANTILES)
    for left, top, right, bottom in canvas.boxes:
        assert left > 0
        assert right < WIDTH
        for across, begin, end in canvas.lines:
            assert not (left <= across <= right and begin <= bottom and top <= end)
    for one, other in combinations(sorted(canvas.boxes, key=lambda box: box[1]), 2):
        assert one[3] < other[1]


def test_a_line_has_a_gap_where_nothing_was_sent() -> None:
    """It does not pretend to know; a point that is alone is a dot."""
    found = summary()
    slots = {slot: found.slots[slot] for slot in (0, 1, 5)}
    canvas = SvgCanvas()
    draw(canvas, msgspec.structs.replace(found, slots=slots))
    svg = ET.fromstring(canvas.finish())  # noqa: S314 - our own
    lines = [element for element in svg.iter("polyline") if element.get("stroke-width") == "2"]
    assert 9 == len(lines)


@pytest.mark.slow
@pytest.mark.parametrize("duration_s", [0.1, 7.0, 86_400.0])
def test_whatever_came_can_be_drawn(duration_s: float) -> None:
    """Nothing at all, or one value, or all that there may be."""
    plan = msgspec.structs.replace(PLAN, duration_s=duration_s)
    for latency in (Histogram({}), Histogram({0: 1}, 0), Histogram({0: 1, 2_367: 1}, 1 << 42)):
        slots = {0: latency} if latency.counts else {}
        found = msgspec.structs.replace(summary(plan), latency=latency, slots=slots)
        for canvas in (SvgCanvas(), PngCanvas()):
            draw(canvas, found)
            assert canvas.finish()


def test_lines_and_bars_are_where_they_were_drawn() -> None:
    """At twice the size, and cut at the edges of the paper."""
    canvas = PngCanvas()
    canvas.bar((-5, 10), (10, 2), "text")
    canvas.line([(20, 20), (20, 30), (40, 30)], "p50", 1)
    rows = pixels(canvas.finish())
    assert [_TEXT] * 10 + [_PAPER] * 5 == list(rows[20][:15])
    assert [_PAPER, _TEXT, _TEXT, _TEXT, _TEXT, _PAPER] == [row[0] for row in rows[19:25]]
    inked = {(x, y) for y, row in enumerate(rows) for x, ink in enumerate(row) if ink == _P50}
    assert {(x, y) for x in (39, 40) for y in range(39, 61)} <= inked
    assert {(x, y) for x in range(39, 81) for y in (59, 60)} <= inked
    assert 22 * 2 + 40 * 2 == len(inked)


@pytest.mark.slow
def test_letters_stand_where_they_were_put() -> None:
    """To the right of a place, to its left, or about it."""
    for align, left in (("start", 200), ("end", 200 - 33), ("middle", 200 - 16)):
        canvas = PngCanvas()
        canvas.text((100, 50), "ll", "text", align)  # type: ignore[arg-type]  # each is one
        rows = pixels(canvas.finish())
        columns = [x for row in rows for x, ink in enumerate(row) if ink == _TEXT]
        lines = [y for y, row in enumerate(rows) if _TEXT in row]
        assert (left + 3, left + 33 - 4) == (min(columns), max(columns))
        assert (100 - ASCENT * 3, 99) == (min(lines), max(lines))


def test_every_letter_of_the_plots_is_known() -> None:
    """And no two look alike."""
    canvas = SvgCanvas()
    draw(canvas, summary())
    said = set("".join(re.findall(r">([^<]+)</text>", canvas.finish())))
    assert said <= set(GLYPHS)
    assert {COLUMNS} == {len(columns) for columns in GLYPHS.values()}
    assert len(GLYPHS) == len(set(GLYPHS.values()))
