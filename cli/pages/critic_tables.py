"""The tables of an evaluation of critics, and of a choice among samples."""

from typing import TYPE_CHECKING

from cli.output import console, table

if TYPE_CHECKING:
    from evals.critic.figures import Accuracy, CriticReport
    from evals.critic.ranking import RankReport

_RIGHT = ["accuracy", "95%", "right", "wrong", "undecided", "alike", "first", "combined", "length-balanced"]


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
                _percent(each.length_balanced),
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


def print_rank_report(report: "RankReport") -> None:
    """Choices, pass rates, differences."""
    table(
        "Chosen samples",
        ["instance", "sample", "share won", "undecided pairs"],
        [
            (each.instance, each.trajectory[:12], f"{each.shares[each.trajectory]:.2f}", each.undecided)
            for each in report.choices
        ],
        right=["share won", "undecided pairs"],
    )
    table(
        f"Pass rate of one of {report.samples} samples for each of {report.instances} instances",
        ["chosen by", "pass rate", "95%"],
        [(each.name, f"{each.value:.3f}", f"{each.low:.3f} to {each.high:.3f}") for each in report.rates],
        right=["pass rate", "95%"],
    )
    table(
        f"{report.critic} less others, over repositories",
        ["against", "difference", "95%", "p"],
        [
            (each.reference, f"{each.value:+.3f}", f"{each.low:+.3f} to {each.high:+.3f}", f"{each.p:.3g}")
            for each in report.differences
        ],
        right=["difference", "95%", "p"],
    )
    if report.left_out:
        console.print(f"left out: {report.left_out} instances with fewer than two judged samples")


def _accuracy(found: "Accuracy") -> tuple[str, str, int, int, int]:
    interval = f"{found.low:.3f} to {found.high:.3f}"
    return f"{found.value:.3f}", interval, found.right, found.wrong, found.undecided


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
