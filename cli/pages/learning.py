"""The page of the learning loop: who served when, gates, and loss curves."""

from itertools import pairwise

from cli.pages.charts import MOST_ROWS, Interval, Span, curves, intervals, timeline
from cli.pages.render import render
from cli.pages.section import Section, drawn, make_rows
from evals.gate_report import COLUMNS, NUMBERS, control_cell, gate_rows
from training.cycle.history import BASE, Decision, LearningHistory, TrainingCurve

_TIME = "%Y-%m-%d %H:%M"


def learning_page(history: LearningHistory) -> str:
    """The page of the learning loop as HTML."""
    notes = ["Adapters of this installation; cra adapters report shows the same figures in a terminal, and as JSON."]
    return render("The learning loop", notes, sections(history))


def sections(history: LearningHistory) -> list[Section]:
    """The sections of the page: adapters, who served when, gates, and one for each of the newest trainings."""
    return [
        adapters(history),
        serving(history.decisions),
        gates(history.decisions),
        trainings(history.trainings),
        *(_curve(place, each) for place, each in reversed(list(enumerate(history.trainings, 1)))),
    ]


def adapters(history: LearningHistory) -> Section:
    """All adapters."""
    rows = [
        (
            each.name,
            "yes" if each.active else "",
            each.base_name,
            f"{each.trained_at:{_TIME}}",
            each.dataset_id[:12],
            ", ".join(f"{key} {value:.3f}" for key, value in sorted(each.metrics.items()) if isinstance(value, float)),
        )
        for each in history.adapters
    ]
    columns = ("adapter", "serves", "base", "trained (UTC)", "dataset", "metrics")
    return Section(
        "adapters", "Adapters", ("An adapter never changes; none is ever deleted.",), columns, make_rows(rows)
    )


def serving(decisions: tuple[Decision, ...]) -> Section:
    """Who served each target after each decision."""
    rows = [
        (x.number, f"{x.at:{_TIME}}", x.target, x.action, x.adapter, x.serving, x.reason, x.override) for x in decisions
    ]
    section = Section(
        "serving",
        "Who served when",
        (
            "Bars show the adapter that served a target after each decision about any of them; marks above a bar are "
            "decisions about its target. Decisions are evenly spaced: the times are below and in the table.",
        ),
        ("decision", "at (UTC)", "target", "action", "adapter", "serves afterwards", "reason", "overridden because"),
        make_rows(rows),
        ("decision",),
    )
    targets = sorted({each.target for each in decisions})
    marks: dict[str, list[tuple[float, str]]] = {}
    for place, each in enumerate(decisions):
        marks.setdefault(each.action, []).append((float(place), each.target))
    ticks = [f"{each.number}: {each.at:{_TIME}}" for each in decisions]
    return drawn(
        section,
        bool(decisions),
        lambda title, words: timeline(
            "serving", title, words, targets, [s for t in targets for s in _spans(t, decisions)], marks, ticks
        ),
    )


def _spans(target: str, decisions: tuple[Decision, ...]) -> list[Span]:
    """What served a target: the base before the first decision, then from each change to the next, and to the end."""
    changes: list[tuple[float, str]] = [(-1.0, BASE)]
    for place, each in enumerate(decisions):
        if each.target == target and changes[-1][1] != each.serving:
            changes.append((float(place), each.serving))
    ends = [*changes, (len(decisions) - 0.2, "")]
    return [Span(target, start, end, name, name == BASE) for (start, name), (end, _) in pairwise(ends)]


def gates(decisions: tuple[Decision, ...]) -> Section:
    """Gates' verdicts, with the metrics that they rest on."""
    judged = [(each, each.report) for each in decisions if each.report is not None]
    rows = [
        (
            each.number,
            each.target,
            report.challenger.name,
            report.champion.name,
            report.verdict.value,
            control_cell(report),
            *cells,
        )
        for each, report in judged
        for cells in gate_rows(report)
    ]
    values = {
        (f"{each.number}: {report.challenger.name}, {test.metric}", ""): Interval(test.difference, test.low, test.high)
        for each, report in judged
        for test in report.tests
        if test.primary
    }
    shown = [row for row, _ in values][-MOST_ROWS:]
    section = Section(
        "gates",
        "Gates",
        (
            "The difference that a challenger makes to each primary metric, with its 95% interval; right of zero it is "
            "better than the champion. Primary metrics have a star in the table.",
            "A control is the same training on the student's own unverified answers: an adapter that does not beat it "
            "owes its gain to more training, not to what was verified. One that is not matched had less training than "
            "the adapter, so that scoring above it shows nothing of the kind.",
        ),
        ("decision", "target", "adapter", "against", "verdict", "control", *COLUMNS),
        make_rows(rows),
        ("decision", *NUMBERS, "95% interval"),
    )
    return drawn(
        section,
        bool(shown),
        lambda title, words: intervals(
            "gates", title, words, shown, [""], values, "challenger minus champion, with 95% interval", zero=True
        ),
    )


def trainings(found: tuple[TrainingCurve, ...]) -> Section:
    """The newest trainings."""
    rows = [
        (x.name, f"{x.finished_at:{_TIME}}", x.backend, x.steps, x.tokens, f"{x.seconds:.0f}", _last(x.training),
         _last(x.validation), _least(x.validation))
        for x in found
    ]  # fmt: skip
    columns = (
        "training", "finished (UTC)", "back end", "steps", "tokens", "seconds", "last loss", "last validation loss",
        "best validation loss",
    )  # fmt: skip
    return Section("trainings", "Trainings", ("The newest finished ones.",), columns, make_rows(rows), columns[3:])


def _curve(place: int, found: TrainingCurve) -> Section:
    lines = {"training": found.training, "validation": found.validation}
    losses = {name: dict(points) for name, points in lines.items()}
    steps = sorted({step for points in lines.values() for step, _ in points})
    rows = [(step, *(f"{losses[name][step]:.4f}" if step in losses[name] else "" for name in lines)) for step in steps]
    section = Section(
        f"training-{place}",
        f"Loss of {found.name}",
        (f"Training {found.job[:12]}, {found.steps} steps. Each point of the training loss is the mean of the steps up "
         "to it.",),
        ("step", "training loss", "validation loss"),
        make_rows(rows),
        ("step", "training loss", "validation loss"),
        folded=True,
    )  # fmt: skip
    known = {name: points for name, points in lines.items() if points}
    return drawn(section, bool(known), lambda title, words: curves(section.key, title, words, known))


def _last(points: tuple[tuple[int, float], ...]) -> str:
    return f"{points[-1][1]:.4f}" if points else "-"


def _least(points: tuple[tuple[int, float], ...]) -> str:
    return f"{min(loss for _, loss in points):.4f}" if points else "-"
