"""Tables of why commits became no instances, and of how many came how far."""

from collections.abc import Mapping, Sequence
from operator import itemgetter

from cli.output import counted, printable, table
from harness.packages.funnel import CountedCause, causes_of, excluded_of, funnel_of, lacking_of, layers_of
from models.manifest import Manifest

_STEPS = ("repository", "kept", "tried", "environment", "F2P", "stable", "twins", "sampled")


def print_reasons(manifests: Sequence[Manifest], twins: Mapping[str, int]) -> None:
    """Print the funnel of each repository, the causes by layer, and how many tests take no part in verdicts.

    `twins` counts the instances with twins, by repository.
    """
    if not manifests:
        return
    rows = [tuple(map(str, funnel_of(each, twins[each.name]))) for each in manifests]
    table("commits, step by step", _STEPS, rows, right=_STEPS[1:])
    causes = causes_of(manifests)
    if causes:
        told = ", ".join(f"{layer} {count}" for layer, count in layers_of(manifests).items())
        table(
            f"why {counted(sum(cause.commits for cause in causes), 'commit')} became no instances ({told})",
            ["layer", "reason", "commits", "first error", "what would mend it", "e.g."],
            [_row(cause) for cause in causes],
            right=["commits"],
        )
    if excluded := excluded_of(manifests):
        lacking = sum(lacking_of(manifests).values())
        table(
            f"tests that take no part in verdicts ({lacking} of them for want of something in the environment)",
            ["why", "tests"],
            sorted(excluded.items(), key=itemgetter(1), reverse=True),
            right=["tests"],
        )


def _row(cause: CountedCause) -> tuple[object, ...]:
    error = f"{cause.error}: {cause.text}" if cause.error else cause.text
    mends = printable(cause.remedy) or "-"
    return cause.layer, cause.reason, cause.commits, printable(error), mends, cause.example
