"""How often the operation's rule on diversity stops rounds for nothing, and how often it sees a collapse.

    uv run python -m benchmarks.guardrail_looks [--operations 300] [--rounds 30] [--instances 16] [--samples 4]

Whole runs are drawn. `calm`: each instance is solved with a probability of its own, the same in all rounds.
`sharpening`: pass@1 rises from 0.25 to 0.35 over the rounds, and pass@k falls by half of its margin, which is allowed.
After a collapse all samples of an instance are alike. The rule looks after each round, with the levels of
`evals.spending` and, for comparison, at `end_to_end_alpha` each time.
"""

import argparse
import random
from collections.abc import Callable, Iterator, Sequence

from evals.whole_runs import compare
from models.errors import GuardrailError
from models.guardrail_settings import GuardrailSettings
from training.cycle.guardrails import check_diversity
from training.operation import plateau
from training.operation.measuring import Measure, measured

LIMITS = GuardrailSettings()
_REPOSITORIES = 8


_START, _STEPS = 0.25, (0.35, -0.15)
"""Where instances of an operation that sharpens begin, and how far each half of them comes."""


def draw(
    chance: random.Random,
    rounds: int,
    instances: int,
    samples: int,
    collapse: int | None = None,
    sharpens: bool = False,
) -> Iterator[Measure]:
    """Whole runs after each round, the first one before any; from round `collapse` on samples are alike."""
    solved = [chance.betavariate(1.0, 1.5) for _ in range(instances)]
    for number in range(rounds + 1):
        if sharpens:
            solved = [_START + _STEPS[instance % 2] * number / rounds for instance in range(instances)]
        passes = {}
        for instance, share in enumerate(solved):
            first = chance.random() < share
            for sample in range(samples):
                alike = collapse is not None and number >= collapse
                passes[f"r{instance % _REPOSITORIES}@{instance}", sample] = first if alike else chance.random() < share
        yield measured(number, number, {}, passes)


def stopped_at(measures: Sequence[Measure], judge: Callable[[Sequence[Measure]], object]) -> int | None:
    """The first round after which the rule stops, if it does."""
    return next((n for n in range(1, len(measures)) if judge(measures[: n + 1]) is not None), None)


def corrected(measures: Sequence[Measure]) -> object:
    """The rule as it is."""
    return plateau.diversity(measures, LIMITS)


def uncorrected(measures: Sequence[Measure]) -> object:
    """The rule as if each look were the only one."""
    for before in (measures[-2], measures[0]):
        try:
            check_diversity(compare(before.passes, measures[-1].passes), LIMITS)
        except GuardrailError as error:
            return error
    return None


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("operations", 300), ("rounds", 30), ("instances", 16), ("samples", 4), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    chance = random.Random(asked.seed)
    sizes = asked.rounds, asked.instances, asked.samples
    rules = {"corrected": corrected, "uncorrected": uncorrected}
    for kind in ("calm", "sharpening"):
        drawn = [list(draw(chance, *sizes, sharpens=kind == "sharpening")) for _ in range(asked.operations)]
        for name, judge in rules.items():
            false = sum(stopped_at(each, judge) is not None for each in drawn)
            print(
                f"{kind:10}  {name:11}  stopped within {asked.rounds} rounds: {false} of {asked.operations}", flush=True
            )
    for collapse in (2, 10, asked.rounds):
        fallen = [list(draw(chance, collapse, *sizes[1:], collapse)) for _ in range(asked.operations)]
        for name, judge in rules.items():
            seen = sum(judge(each) is not None for each in fallen)
            print(
                f"collapse after round {collapse:2}  {name:11}  seen at once: {seen} of {asked.operations}", flush=True
            )


if __name__ == "__main__":
    main()
