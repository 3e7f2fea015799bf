"""The sections of a campaign's page about its calls: cost and tokens, latency, cache and replays, retries."""

from collections.abc import Callable, Iterable, Sequence

from cli.pages.charts import Interval, Panel, bars, intervals
from cli.pages.section import Section, drawn, make_rows
from models.protocols import Stage
from store.runs import StageLatency, StageUse

_ORDER = {stage.value: place for place, stage in enumerate(Stage)}


def cost(uses: Sequence[StageUse]) -> Section:
    """Cost and tokens by stage."""
    section = Section(
        "cost",
        "Cost and tokens by stage",
        ("Of calls that reached a model; replayed answers cost nothing. Cost is in the price table's currency.",),
        ("stage", "planner", "calls", "cost", "tokens in", "tokens out"),
        _rows(uses, lambda x: (x.calls, f"{x.cost:.4f}", x.prompt_tokens, x.completion_tokens)),
        ("calls", "cost", "tokens in", "tokens out"),
    )
    panels = [
        _panel("cost", uses, lambda use: use.cost, money),
        _panel("tokens in", uses, lambda use: use.prompt_tokens, short),
        _panel("tokens out", uses, lambda use: use.completion_tokens, short),
    ]
    return _by_stage(section, uses, panels)


def latency(found: Sequence[StageLatency]) -> Section:
    """Median and 90th percentile of the seconds that calls took."""
    stages, planners = _names((each.stage, each.planner) for each in found)
    values = {(each.stage, each.planner): Interval(each.median, each.median, each.p90) for each in found}
    section = Section(
        "latency",
        "Latency by stage",
        (
            "Seconds of the request that was answered, failed ones before it not counted: a marker at the median, a "
            "line to the 90th percentile.",
        ),
        ("stage", "planner", "calls", "median seconds", "90th percentile seconds", "slowest seconds"),
        make_rows(
            [
                (x.stage, x.planner, x.calls, f"{x.median:.2f}", f"{x.p90:.2f}", f"{x.slowest:.2f}")
                for x in sorted(found, key=lambda x: (_ORDER.get(x.stage, 99), x.planner))
            ]
        ),
        ("calls", "median seconds", "90th percentile seconds", "slowest seconds"),
    )
    return drawn(
        section,
        bool(found),
        lambda title, words: intervals(
            "latency", title, words, stages, planners, values, "seconds: median, to the 90th percentile", least=0.0
        ),
    )


def reuse(uses: Sequence[StageUse]) -> Section:
    """What was not computed or asked again: the provider's cached prompt tokens, and replayed answers."""
    section = Section(
        "reuse",
        "Cache and replayed answers",
        (
            "Cached: prompt tokens that the provider took from its cache, of those of calls. Replayed: questions that "
            "an earlier attempt or sample had answered, of all questions; nothing was asked or paid for them.",
        ),
        ("stage", "planner", "questions", "replayed", "share replayed", "cached tokens", "share cached"),
        _rows(
            uses,
            lambda x: (
                x.questions,
                x.questions - x.calls,
                _percent(_replayed(x)),
                x.cached_tokens,
                _percent(_cached(x)),
            ),
        ),
        ("questions", "replayed", "share replayed", "cached tokens", "share cached"),
    )
    panels = [
        _panel("prompt tokens from the cache", uses, _cached, _percent),
        _panel("questions answered by a replay", uses, _replayed, _percent),
    ]
    return _by_stage(section, uses, panels)


def repeats(uses: Sequence[StageUse]) -> Section:
    """Requests and questions that had to be repeated."""
    section = Section(
        "repeats",
        "Retries, malformed answers, repairs",
        (
            "Retries: failed requests before an answer came. Malformed: answers that could not be read. Repairs: "
            "second questions, for any reason.",
        ),
        ("stage", "planner", "retries", "malformed", "repairs", "by the generalist"),
        _rows(uses, lambda x: (x.retries, x.malformed, x.repairs, x.fallbacks)),
        ("retries", "malformed", "repairs", "by the generalist"),
    )
    panels = [
        _panel("retries", uses, lambda use: use.retries, short),
        _panel("malformed answers", uses, lambda use: use.malformed, short),
        _panel("repairs", uses, lambda use: use.repairs, short),
    ]
    return _by_stage(section, uses, panels)


def short(value: float) -> str:
    """A count with at most four characters: 950, 12k, 3.4M."""
    for limit, divisor, unit in ((1e9, 1e6, "M"), (1e6, 1e3, "k")):
        if value >= divisor * 10 and value < limit:
            return f"{value / divisor:.0f}{unit}"
    if value >= 1e6:
        return f"{value / 1e6:.1f}M" if value < 1e9 else f"{value / 1e9:.1f}G"
    return f"{value:.0f}"


def money(value: float) -> str:
    """A cost as a label: small ones with four decimals, large ones without."""
    if value == 0 or value >= 100:
        return short(value)
    return f"{value:.2f}" if value >= 0.01 else f"{value:.4f}"


def _cached(use: StageUse) -> float:
    return use.cached_tokens / use.prompt_tokens if use.prompt_tokens else 0.0


def _replayed(use: StageUse) -> float:
    return (use.questions - use.calls) / use.questions if use.questions else 0.0


def _percent(value: float) -> str:
    return f"{value:.0%}"


def _panel(
    title: str, uses: Sequence[StageUse], value: Callable[[StageUse], float], written: Callable[[float], str]
) -> Panel:
    return Panel(title, {(use.stage, use.planner): float(value(use)) for use in uses}, written)


def _rows(uses: Sequence[StageUse], cells: Callable[[StageUse], tuple[object, ...]]) -> tuple[tuple[str, ...], ...]:
    ordered = sorted(uses, key=lambda use: (_ORDER.get(use.stage, 99), use.planner))
    return make_rows([(use.stage, use.planner, *cells(use)) for use in ordered])


def _by_stage(section: Section, uses: Sequence[StageUse], panels: Sequence[Panel]) -> Section:
    stages, planners = _names((use.stage, use.planner) for use in uses)
    return drawn(section, bool(uses), lambda title, words: bars(section.key, title, words, stages, planners, panels))


def _names(pairs: Iterable[tuple[str, str]]) -> tuple[list[str], list[str]]:
    """Stages in the order of the pipeline, and planners."""
    known = list(pairs)
    return (
        sorted({stage for stage, _ in known}, key=lambda stage: _ORDER.get(stage, 99)),
        sorted({planner for _, planner in known}),
    )
