"""A canvas that becomes SVG. Pure."""

from collections.abc import Sequence
from html import escape

from app.loadtest.plot import HEIGHT, INKS, WIDTH, Align, Point


class SvgCanvas:
    """Keeps what is drawn as elements."""

    def __init__(self) -> None:
        self._elements: list[str] = []

    def line(self, points: Sequence[Point], ink: str, width: int) -> None:
        """A line from point to point."""
        if len(points) == 1:
            points = [points[0], points[0]]  # which round ends make a dot
        places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._elements.append(
            f'<polyline points="{places}" fill="none" stroke="{_colour(ink)}" '
            f'stroke-width="{width}" stroke-linejoin="round" stroke-linecap="round"/>'
        )

    def bar(self, corner: Point, size: Point, ink: str) -> None:
        """A filled rectangle, from its upper left corner."""
        (x, y), (width, height) = corner, size
        self._elements.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'fill="{_colour(ink)}"/>'
        )

    def text(self, place: Point, said: str, ink: str, align: Align) -> None:
        """Letters that stand on this height and begin, end, or have their middle here."""
        x, y = place
        self._elements.append(
            f'<text x="{x:.1f}" y="{y:.1f}" fill="{_colour(ink)}" text-anchor="{align}">'
            f"{escape(said)}</text>"
        )

    def finish(self) -> str:
        """The picture, to be put into a page."""
        return "\n".join(
            [
                f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-size="13">',
                *self._elements,
                "</svg>",
            ]
        )


def _colour(ink: str) -> str:
    red, green, blue = INKS[ink]
    return f"#{red:02x}{green:02x}{blue:02x}"
