"""Pictures as SVG that stands in a page: the same bytes for the same figures, with a title and a description for
screen readers, in colours that the page's style sheet sets."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, register_namespace, tostring  # for making, not for reading

from cli.output import printable
from models.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FAINT, PAPER = "#0000f0", "#0000f8", "#0000f9"
SERIES = tuple(f"#0000f{number}" for number in range(1, 7))
HATCHES = ("", "///", "|||", "xxx", "\\\\\\", "--")
MARKERS = ("o", "s", "^", "D", "v", "P")
"""Series differ in hatch and marker, so that they can be told apart without colour."""
_VARIABLES = {INK: "ink", FAINT: "faint", PAPER: "paper"} | {
    colour: f"series-{number}" for number, colour in enumerate(SERIES, 1)
}
_COLOUR = re.compile("|".join(_VARIABLES))
_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_LABEL = 36
WIDTH = 7.5
"""Inches."""


def check_drawing() -> None:
    """Raise UsageError where the library that draws is not installed."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise UsageError(
            "pictures are drawn by matplotlib, which is not installed: "
            "uv sync --inexact --extra report, or pip install matplotlib"
        )


@contextmanager
def canvas(height: float, panels: int = 1) -> "Iterator[tuple[Figure, list[Axes]]]":
    """A figure of `height` inches with panels beside each other that share their rows."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style = {
        "svg.hashsalt": "clean-room", "svg.fonttype": "path", "text.parse_math": False, "font.family": ["DejaVu Sans"],
        "font.size": 9, "text.color": INK, "axes.edgecolor": INK, "axes.labelcolor": INK, "axes.titlecolor": INK,
        "axes.titlesize": 9, "xtick.color": INK, "ytick.color": INK, "axes.spines.top": False,
        "axes.spines.right": False, "axes.facecolor": "none", "figure.facecolor": "none", "grid.color": FAINT,
        "axes.grid": True, "axes.grid.axis": "x", "axes.axisbelow": True, "hatch.linewidth": 0.6,
        "legend.frameon": False, "figure.constrained_layout.use": True,
    }  # fmt: skip
    with mpl.rc_context(style):
        figure = Figure(figsize=(WIDTH, height))
        axes = figure.subplots(1, panels, sharey=True, squeeze=False)[0]
        yield figure, list(axes)


def label(text: str, most: int = _LABEL) -> str:
    """Untrusted text as a label: one line of at most `most` characters, with its beginning and its end."""
    line = printable(" ".join(text.split()))
    half = most // 2
    return line if len(line) <= most else f"{line[: most - half - 1]}…{line[-half:]}"


def to_svg(figure: "Figure", key: str, title: str, words: str) -> str:
    """A figure as an SVG element; `key` makes its ids unique in the page. Must be called within `canvas`."""
    import warnings

    from defusedxml.ElementTree import fromstring

    drawn = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # letters that the font lacks are in the table
        warnings.filterwarnings("ignore", message="constrained_layout")  # labels leave no room: drawn all the same
        figure.savefig(drawn, format="svg", metadata=nothing)
    root: Element = fromstring(drawn.getvalue())
    for defs in root.iter(f"{{{_SVG}}}defs"):
        for style in defs.findall(f"{{{_SVG}}}style"):  # a rule for all elements of the page
            defs.remove(style)
    for element in root.iter():
        _own(element, key)
    for name in ("width", "height"):
        del root.attrib[name]
    root.set("role", "img")
    for place, (name, text) in enumerate((("title", title), ("desc", words))):
        told = Element(f"{{{_SVG}}}{name}", {"id": f"{key}-{name}"})
        told.text = text
        root.insert(place, told)
    root.set("aria-labelledby", f"{key}-title")
    root.set("aria-describedby", f"{key}-desc")
    register_namespace("", _SVG)
    register_namespace("xlink", _XLINK)
    return tostring(root, encoding="unicode")


def _own(element: Element, key: str) -> None:
    """Ids of this picture's own, references to them, and colours of the page."""
    for name, value in element.items():
        if name == "id":
            element.set(name, f"{key}-{value}")
        elif name == f"{{{_XLINK}}}href":
            element.set(name, f"#{key}-{value.removeprefix('#')}")
        elif "#" in value:
            value = _REFERENCE.sub(lambda found: f"url(#{key}-{found[1]})", value)
            element.set(name, _COLOUR.sub(lambda found: f"var(--{_VARIABLES[found[0]]})", value))
