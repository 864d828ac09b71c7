"""The report of a run: a page that needs nothing else, and its plot as a picture."""

from html import escape
from pathlib import Path
from typing import Final

from app.loadtest.errors import LoadTestError
from app.loadtest.plot import draw
from app.loadtest.png import PngCanvas
from app.loadtest.summary import Summary, facts, head, warnings
from app.loadtest.svg import SvgCanvas

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; color: #374151; max-width: 960px; margin: 2em auto;
  padding: 0 1em; }
h1 { font-size: 1.3em; margin: 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; margin: 1.5em 0; }
th, td { text-align: left; vertical-align: top; padding: .2em 1.5em .2em 0; font-weight: normal; }
th { color: #6b7280; white-space: nowrap; }
td { font-variant-numeric: tabular-nums; }
.doubt { background: #fef3c7; padding: .5em 1em; }
svg { width: 100%; font-family: inherit; }
"""


def write_report(summary: Summary, path: Path) -> list[Path]:
    """Write the page, and beside it the picture; returns where they are.

    Args:
        summary: of the run.
        path: of the page, whose name may lack its `.html`.

    Raises:
        LoadTestError: one of them cannot be written.
    """
    written = []
    canvas = PngCanvas()
    draw(canvas, summary)
    for suffix, data in ((".html", page(summary).encode()), (".png", canvas.finish())):
        target = path.with_name(path.name.removesuffix(".html") + suffix)
        try:
            target.write_bytes(data)
        except OSError as error:
            raise LoadTestError(f"cannot write {target}: {error.strerror}") from None
        written.append(target)
    return written


def page(summary: Summary) -> str:
    """The page."""
    url, what = map(escape, head(summary))
    canvas = SvgCanvas()
    draw(canvas, summary)
    rows = [
        f"<tr><th>{escape(name)}</th><td>{escape(told)}</td></tr>"
        for name, told in facts(summary).items()
    ]
    doubts = [f'<p class="doubt">{escape(doubt)}</p>' for doubt in warnings(summary)]
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width">',
            f"<title>agio loadtest: {url}</title>\n<style>{_STYLE}</style>",
            f"<h1>{url}</h1>\n<p>{what}</p>",
            *doubts,
            "<table>",
            *rows,
            "</table>",
            canvas.finish(),
            "</html>\n",
        ]
    )
