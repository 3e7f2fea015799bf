"""The tables of an evaluation of critics, and of a choice among samples."""

from typing import TYPE_CHECKING

from cli.output import console, table

if TYPE_CHECKING:
    from evals.critic.figures import Accuracy, CriticReport

_RIGHT = ["accuracy", "95%", "right", "wrong", "undecided", "alike", "first", "combined"]


def print_critic_report(report: "CriticReport") -> None:
    """Contenders, accuracy by criterion, differences."""
    first = report.contenders[0].accuracy
    table(
        f"{first.comparisons} comparisons of {first.repositories} repositories ({report.part}), both orders",
        ["contender", *_RIGHT],
        [
            (
                each.name,
                *_accuracy(each.accuracy),
                _percent(each.consistency),
                _percent(each.first),
                _percent(each.combined),
            )
            for each in report.contenders
        ],
        right=_RIGHT,
    )
    table(
        "By criterion",
        ["contender", "criterion", "comparisons", "repositories", "accuracy", "95%"],
        [
            (each.name, criterion, found.comparisons, found.repositories, *_accuracy(found)[:2])
            for each in report.contenders
            for criterion, found in each.by_criterion.items()
        ],
        right=["comparisons", "repositories", "accuracy", "95%"],
    )
    table(
        "Differences over repositories",
        ["contender", "against", "difference", "95%", "p"],
        [
            (
                each.contender,
                each.reference,
                f"{each.value:+.3f}",
                f"{each.low:+.3f} to {each.high:+.3f}",
                f"{each.p:.3g}",
            )
            for each in report.differences
        ],
        right=["difference", "95%", "p"],
    )
    console.print(f"Cues were fitted on {report.fitted_on} comparisons of the training part.")
    for reason, count in sorted(report.left_out.items()):
        console.print(f"left out: {count}, {reason}", markup=False, soft_wrap=True)


def _accuracy(found: "Accuracy") -> tuple[str, str, int, int, int]:
    interval = f"{found.low:.3f} to {found.high:.3f}"
    return f"{found.value:.3f}", interval, found.right, found.wrong, found.undecided


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
