"""The page of a study: contenders, tests, learning curve, calibration."""

from collections.abc import Sequence

from cli.pages.charts import Interval, intervals, lines
from cli.pages.render import render
from cli.pages.section import Section, drawn, make_rows
from evals.gates import shown_p
from evals.study.comparison import ALPHA, METRICS, WORTH, Comparison, ContenderFigures
from evals.study.kinds import KINDS, StudyKind
from evals.study.logistic import CLASSES
from evals.study.report import CurvePoint, ModelOffsets, PartCount, StudyReport
from models.context import Relevance

_NAMES = {
    "average_precision": "average precision",
    "macro_f1": "macro F1",
    "recall": "recall of {}",
    "recall_at_precision": "recall at precision 0.5",
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
}
_SHORT = {"average_precision": "AP", "macro_f1": "F1", "recall": "recall"}
COMPARED = (
    "challenger", "against", "metric", "difference", "95% interval", "p", "p, corrected", "repositories",
    "found 4 times in 5", f"power for {WORTH:.2f}", "needed for 0.80",
)  # fmt: skip


def study_page(report: StudyReport) -> str:
    """The page as HTML."""
    kind = KINDS[report.configuration.kind]
    return render(
        f"Study of {kind.name}",
        [
            f"{kind.asked}: judged by rankings, classifiers and models, and compared "
            "with what the commit changed and needed. Contenders are measured on repositories that nothing was fitted "
            "on.",
            *report.notes,
        ],
        [
            *contenders("contenders", "Contenders on held-out repositories", report.contenders, kind),
            *(
                contenders("sample", "The same on the sample that models were asked", report.sample, kind)
                if report.sample
                else []
            ),
            compared(report.comparisons, kind),
            *([offsets(report.offsets, kind)] if report.offsets else []),
            curve(report.curve, report.configuration.settings.negatives),
            reliability(report.contenders, kind),
            repositories(report.repositories, report.threshold, kind),
        ],
    )


def figures(kind: StudyKind) -> tuple[str, ...]:
    """The columns of a table of contenders."""
    return "contender", "sorted by", "judgements", *(_metric(name, kind) for name in METRICS), "calibration error"


def contender_rows(found: Sequence[ContenderFigures]) -> list[tuple[str, ...]]:
    """A row for each contender, in the order of `figures`."""
    return [
        (
            each.name,
            each.ranked_by,
            str(each.judgements),
            *(_shown(each.means.get(name)) for name in METRICS),
            _shown(each.calibration_error),
        )
        for each in found
    ]


def comparison_rows(found: Sequence[Comparison], kind: StudyKind) -> list[tuple[str, ...]]:
    """A row for each test, in the order of `COMPARED`."""
    return [
        (
            each.challenger,
            each.reference,
            _metric(each.metric, kind),
            f"{each.difference:+.3f}",
            f"{each.low:+.3f} to {each.high:+.3f}",
            shown_p(each.p).removeprefix("= "),
            shown_p(each.p_adjusted).removeprefix("= "),
            str(each.repositories),
            "none" if each.detectable is None else f"{each.detectable:.3f}",
            f"{each.power:.2f}",
            "over 300" if each.needed is None else str(each.needed),
        )
        for each in found
    ]


def contenders(key: str, title: str, found: Sequence[ContenderFigures], kind: StudyKind) -> list[Section]:
    """The contenders' means, and their average precision in each repository."""
    main = Section(
        key,
        title,
        (
            "Means over repositories, each counting the same. Average precision sorts by probability where a contender "
            "has one, else by score, else by its class and, within a class, by rank.",
        ),
        figures(kind),
        make_rows(contender_rows(found)),
        figures(kind)[2:],
    )
    names = sorted({repository for each in found for repository in each.by_repository})
    rows = [
        (name, *(_shown(each.by_repository.get(name, {}).get("average_precision")) for each in found)) for name in names
    ]
    columns = ("repository", *(each.name for each in found))
    note = (f"Average precision of {kind.words[Relevance.RELEVANT]} {kind.items}.",)
    return [
        main,
        Section(f"{key}-repositories", f"{title}, by repository", note, columns, make_rows(rows), columns[1:]),
    ]


def compared(found: Sequence[Comparison], kind: StudyKind) -> Section:
    """The tests, and their differences with intervals."""
    section = Section(
        "tests",
        "Differences",
        (
            f"Challenger less reference over held-out repositories; right of zero the challenger is better. p is of "
            f"the two-sided sign-flip test over repositories; corrected by Holm over all {len(found)} tests. Power is "
            f"simulated at {ALPHA:.2f} with the spread seen here: the difference found four times in five, the power "
            f"for a difference of {WORTH:.2f}, and the repositories that would raise that power to 0.80.",
        ),
        COMPARED,
        make_rows(comparison_rows(found, kind)),
        COMPARED[3:],
    )
    rows = list(dict.fromkeys(f"{each.challenger}: {_SHORT[each.metric]}" for each in found))
    references = list(dict.fromkeys(f"against {each.reference}" for each in found))
    values = {
        (f"{each.challenger}: {_SHORT[each.metric]}", f"against {each.reference}"): Interval(
            each.difference, each.low, each.high
        )
        for each in found
    }
    return drawn(
        section,
        bool(found),
        lambda title, words: intervals(
            "tests", title, words, rows, references, values, "difference, with 95% interval", zero=True
        ),
    )


def offsets(found: Sequence[ModelOffsets], kind: StudyKind) -> Section:
    """What is added to each model's log-probabilities before the likeliest class is taken."""
    columns = ("model", *(kind.words[each] for each in CLASSES), "balanced accuracy", "recall", "least", "judgements")
    rows = [
        (
            x.model,
            *(f"{v:+.2f}" for v in x.offsets.values),
            f"{x.offsets.balanced_accuracy:.3f}",
            _shown(x.offsets.recall),
            _shown(x.offsets.least),
            x.offsets.judgements,
        )
        for x in found
    ]
    note = (
        "Chosen on the validation repositories by one rule for all models: of the offsets with which the recall of "
        "relevant candidates can be believed to reach the least one, where one was asked for, those with the best "
        "balanced accuracy. Figures are of these judgements."
    )
    return Section("offsets", "Offsets of the classes", (note,), columns, make_rows(rows), columns[1:])


def curve(found: Sequence[CurvePoint], negatives: float) -> Section:
    """The learning curve; `negatives` is the share of the irrelevant candidates that its subsets have."""
    columns = ("learner", "judgements", "seed", "average precision", "macro F1", "questions")
    rows = [(x.learner, x.rows, x.seed, f"{x.average_precision:.4f}", _shown(x.macro_f1), x.questions) for x in found]
    drawn_from = "questions drawn at random by each seed"
    if negatives < 1:
        drawn_from += (
            f", with a share of {negatives:.3g} of what is irrelevant; the last of the logistic regression's points "
            "has everything"
        )
    section = Section(
        "curve",
        "Learning curve",
        (f"Fitted on so many judgements of the training repositories, {drawn_from}; measured on the given number of "
         "questions of all held-out repositories. A model at 0 is its base.",),
        columns,
        make_rows(rows),
        columns[1:],
    )  # fmt: skip
    points = {
        f"{learner}, seed {seed}": [
            (float(x.rows or 1), x.average_precision) for x in found if (x.learner, x.seed) == (learner, seed)
        ]
        for learner, seed in sorted({(x.learner, x.seed) for x in found})
    }
    return drawn(
        section,
        bool(found),
        lambda title, words: lines("curve", title, words, points, ("judgements", "average precision"), log=True),
    )


def reliability(found: Sequence[ContenderFigures], kind: StudyKind) -> Section:
    """Reliability diagrams of the contenders with probabilities."""
    known = [each for each in found if each.reliability]
    columns = ("contender", "judgements", "mean probability", f"share {kind.words[Relevance.RELEVANT]}")
    rows = [
        (each.name, group.count, f"{group.probability:.4f}", f"{group.share:.4f}")
        for each in known
        for group in each.reliability
    ]
    section = Section(
        "reliability",
        "Calibration",
        ("Held-out judgements in ten groups of equal size by probability; a calibrated one lies on the diagonal.",),
        columns,
        make_rows(rows),
        columns[1:],
    )
    points = {each.name: [(g.probability, g.share) for g in each.reliability] for each in known}
    diagonal = {"calibrated": [(0.0, 0.0), (1.0, 1.0)]}
    return drawn(
        section,
        bool(known),
        lambda title, words: lines("reliability", title, words, diagonal | points, columns[2:]),
    )


def repositories(found: Sequence[PartCount], threshold: float, kind: StudyKind) -> Section:
    """The repositories of each part."""
    columns = ("repository", "part", "read at", "questions", "judgements", *(kind.words[each] for each in CLASSES[:2]))
    rows = [(x.repository, x.part, x.commit[:12], x.questions, x.judgements, x.relevant, x.supporting) for x in found]
    note = (
        f"Training repositories fit the coefficients, validation repositories the threshold ({threshold:.3f}); "
        "held-out repositories do neither."
    )
    return Section("repositories", "Repositories", (note,), columns, make_rows(rows), columns[3:])


def _metric(name: str, kind: StudyKind) -> str:
    """The name of a metric."""
    return _NAMES[name].format(kind.words[Relevance.RELEVANT])


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
