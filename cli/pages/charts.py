"""The charts of pages: bars, intervals, curves and timelines, each a function from figures to SVG."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from cli.pages.svg import FAINT, HATCHES, INK, MARKERS, PAPER, SERIES, canvas, label, to_svg

_ROW, _FRAME = 0.21, 0.9
"""Inches of height: of a bar, and of what is above and below all of them."""
MOST_ROWS = 40
"""Rows that a chart shows; a table has them all."""


class Panel(NamedTuple):
    """One of several charts beside each other: the value of each (row, series), and how a value is written."""

    title: str
    values: Mapping[tuple[str, str], float]
    written: Callable[[float], str]


class Interval(NamedTuple):
    """A value with its interval."""

    value: float
    low: float
    high: float


def bars(key: str, title: str, words: str, rows: Sequence[str], series: Sequence[str], panels: Sequence[Panel]) -> str:
    """Horizontal bars, grouped by row, one of each group for each series, with its value written at its end."""
    with canvas(_height(len(rows), len(series)), len(panels)) as (figure, axes):
        for axis, panel in zip(axes, panels, strict=True):
            for place, name in enumerate(series):
                values = [panel.values.get((row, name), 0.0) for row in rows]
                drawn = axis.barh(
                    [_at(row, place, len(series)) for row in range(len(rows))],
                    values,
                    0.8 / len(series),
                    label=label(name),
                    color=SERIES[place % len(SERIES)],
                    hatch=HATCHES[place % len(HATCHES)],
                    edgecolor=INK,
                    linewidth=0.7,
                )
                shown = [
                    panel.written(value) if (row, name) in panel.values else ""
                    for row, value in zip(rows, values, strict=True)
                ]
                axis.bar_label(drawn, shown, padding=2, fontsize=8)
            axis.set_title(panel.title, loc="left")
            axis.margins(x=0.3)
            axis.set_xlim(left=0)
            axis.locator_params(axis="x", nbins=3)
            axis.xaxis.set_major_formatter(partial(_tick, panel.written))
            axis.tick_params(axis="y", length=0)
        _rows(axes[0], rows)
        _legend(figure, axes[0], series)
        return to_svg(figure, key, title, words)


def intervals(
    key: str,
    title: str,
    words: str,
    rows: Sequence[str],
    series: Sequence[str],
    values: Mapping[tuple[str, str], Interval],
    axis_label: str,
    *,
    zero: bool = False,
    least: float | None = None,
    most: float | None = None,
) -> str:
    """A marker for each value on a line from the low to the high end of its interval; `zero` marks no difference.

    The axis begins at `least` and ends at `most`, with room for the markers.
    """
    shown = {row: [name for name in series if (row, name) in values] for row in rows}
    middles: list[float] = []
    height = 0.0
    for names in shown.values():  # a row is as high as it has markers
        middles.append(height + (max(1, len(names)) - 1) / 2)
        height += max(1, len(names)) + 0.5
    with canvas(_FRAME + _ROW * max(height, 3)) as (figure, [axis]):
        for place, name in enumerate(series):
            known = [
                (middle + names.index(name) - (len(names) - 1) / 2, values[row, name])
                for middle, (row, names) in zip(middles, shown.items(), strict=True)
                if name in names
            ]
            axis.errorbar(
                [each.value for _, each in known],
                [at for at, _ in known],
                xerr=[
                    [max(0.0, each.value - each.low) for _, each in known],
                    [max(0.0, each.high - each.value) for _, each in known],
                ],
                fmt="none",
                ecolor=INK,
                elinewidth=1.2,
                capsize=3,
            )
            axis.plot(
                [each.value for _, each in known],
                [at for at, _ in known],
                linestyle="",
                label=label(name),
                **_marker(place),
            )
        axis.set_xlabel(axis_label)
        if zero:
            axis.axvline(0, color=INK, linewidth=1, linestyle="--")
        low, high = axis.get_xlim()
        low, high = low if least is None else least, high if most is None else most
        axis.set_xlim(low - 0.03 * (high - low), high + 0.03 * (high - low))
        _rows(axis, rows, middles, height - 0.9)
        _legend(figure, axis, series)
        return to_svg(figure, key, title, words)


def curves(key: str, title: str, words: str, known: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Losses over steps, a line for each name; the first is plain, further ones have markers."""
    return lines(key, title, words, known, ("step", "loss"))


def lines(
    key: str,
    title: str,
    words: str,
    known: Mapping[str, Sequence[tuple[float, float]]],
    axes: tuple[str, str],
    *,
    log: bool = False,
    counted: bool = False,
) -> str:
    """A line for each name; the first is plain, further ones have markers. `axes` names x and y; `log`: of x;
    `counted`: x are whole numbers."""
    with canvas(3.0) as (figure, [axis]):
        for place, (name, points) in enumerate(known.items()):
            axis.plot(
                [x for x, _ in points],
                [y for _, y in points],
                label=label(name),
                **{"color": INK} | ({} if place == 0 and len(points) > 1 else _marker(place)),
                linestyle="-" if place == 0 else "--",
                linewidth=1.4,
            )
        if log:
            axis.set_xscale("log")
            axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        if counted:
            from matplotlib.ticker import MaxNLocator

            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.set_xlabel(axes[0])
        axis.set_ylabel(axes[1])
        axis.grid(axis="y")
        _legend(figure, axis, list(known))
        return to_svg(figure, key, title, words)


class Span(NamedTuple):
    """What was in force in a row from one position to another, and its name."""

    row: str
    start: float
    end: float
    name: str
    plain: bool
    """Without a hatch: nothing special was in force."""


def timeline(
    key: str,
    title: str,
    words: str,
    rows: Sequence[str],
    spans: Sequence[Span],
    marks: Mapping[str, Sequence[tuple[float, str]]],
    ticks: Sequence[str],
) -> str:
    """Bars of what was in force when, and marks of events by kind; positions are those of `ticks`."""
    with canvas(_FRAME + 0.9 + 0.55 * len(rows)) as (figure, [axis]):
        place = {row: number for number, row in enumerate(rows)}
        changes: dict[str, int] = {}
        for span in spans:
            turn = changes[span.row] = changes.get(span.row, -1) + (not span.plain)
            style: dict[str, Any] = (
                {"color": PAPER} if span.plain else {"color": SERIES[turn % 2 * 2], "hatch": HATCHES[turn % 2]}
            )
            axis.barh(place[span.row], span.end - span.start, 0.5, span.start, edgecolor=INK, linewidth=0.7, **style)
            axis.annotate(
                label(span.name, 14), ((span.start + span.end) / 2, place[span.row]), ha="center", va="center",
                fontsize=8, bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1.0},
            )  # fmt: skip
        for number, (kind, found) in enumerate(marks.items()):
            spots = [x for x, _ in found], [place[row] - 0.36 for _, row in found]
            axis.plot(*spots, linestyle="", label=kind, **_marker(number))
        step = max(1, -(-len(ticks) // 12))
        axis.set_xticks(range(0, len(ticks), step), ticks[::step], rotation=30, ha="right")
        axis.set_xlim(-1, len(ticks) + 0.2)
        _rows(axis, rows)
        _legend(figure, axis, list(marks))
        return to_svg(figure, key, title, words)


def _tick(written: Callable[[float], str], value: float, _position: int) -> str:
    return written(value)


def _marker(place: int) -> dict[str, Any]:
    colour = SERIES[place % len(SERIES)]
    return {"marker": MARKERS[place % len(MARKERS)], "color": INK, "markerfacecolor": colour, "markersize": 7}


def _at(row: int, place: int, series: int) -> float:
    return row + (place - (series - 1) / 2) * 0.8 / series


def _height(rows: int, series: int) -> float:
    return _FRAME + _ROW * rows * max(series, 1.4)


def _rows(axis: Any, rows: Sequence[str], places: Sequence[float] = (), end: float = 0.0) -> None:
    """Names of the rows, the first on top; `places` are their middles, unless they are one apart."""
    axis.set_yticks(places or range(len(rows)), [label(row) for row in rows])
    axis.set_ylim(end or len(rows) - 0.5, -0.6)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x", color=FAINT)


_LEGEND_WIDTH, _HANDLE_WIDTH = 100, 6
"""Characters in a row of a legend, and those that the sign of a series takes the place of."""


def _legend(figure: Any, axis: Any, series: Sequence[str]) -> None:
    if len(series) > 1 or (series and series[0]):
        handles, names = axis.get_legend_handles_labels()
        fitting = _LEGEND_WIDTH // (max(map(len, names)) + _HANDLE_WIDTH)
        columns = max(1, min(6, len(names), fitting))
        figure.legend(handles, names, loc="outside upper left", ncols=columns, handlelength=2.2)
