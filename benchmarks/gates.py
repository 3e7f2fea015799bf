"""Does the gate promote what is no better, and does it find what is better?

    uv run python benchmarks/gates.py [--rounds N] [--seed N]

Simulates evaluations of two subjects on the same items: repositories differ in difficulty, items differ within them,
and the challenger's edge may differ from repository to repository (its mean is `gain`, its spread `spread`, on the
log-odds scale). Prints how often the real gate promotes, and how often a test that ignores repositories would have.
With a gain of zero that is the rate of false promotions, which must not pass 5%.
"""

import argparse
import random
from math import exp, sqrt
from typing import NamedTuple

from evals.gates import decide
from evals.thresholds import REQUIREMENTS, Rules
from models.evaluation import Evaluation, GateVerdict, ItemScore, Subject
from models.training import TrainingTarget


class World(NamedTuple):
    """What is simulated: a target's metrics on `repositories` of `items` each.

    `uneven`: of a third to five thirds as many, and the challenger is much better in few and a little worse in most.
    """

    target: TrainingTarget
    repositories: int
    items: int
    gain: float
    spread: float
    uneven: bool = False


class Rates(NamedTuple):
    """Shares of the rounds: promoted, rejected, and promoted had items been taken for independent."""

    promoted: float
    rejected: float
    naive: float


def simulate(world: World, chance: random.Random) -> tuple[Evaluation, Evaluation]:
    """Champion and challenger, measured on one set of a simulated world."""
    metrics = [metric.name for metric in REQUIREMENTS[world.target].metrics]
    before: list[ItemScore] = []
    after: list[ItemScore] = []
    for repository in range(world.repositories):
        level = {metric: chance.gauss(0.3, 0.7) for metric in metrics}
        edge = {metric: world.gain + world.spread * _deviation(world, chance) for metric in metrics}
        for item in range(round(world.items * chance.uniform(1 / 3, 5 / 3)) if world.uneven else world.items):
            skill = {metric: level[metric] + chance.gauss(0, 1.5) for metric in metrics}
            for scores, extra in ((before, 0.0), (after, 1.0)):
                odds = {metric: 1 / (1 + exp(-skill[metric] - extra * edge[metric])) for metric in metrics}
                said = {metric: float(chance.random() < odds[metric]) for metric in metrics}
                scores.append(ItemScore(item=f"{repository}-{item}", repository=f"r{repository}", seed=0, scores=said))
    return _evaluation(world, "champion", before), _evaluation(world, "challenger", after)


def _deviation(world: World, chance: random.Random) -> float:
    """Of mean 0 and spread 1."""
    return chance.expovariate(1.0) - 1.0 if world.uneven else chance.gauss(0, 1)


def _evaluation(world: World, name: str, scores: list[ItemScore]) -> Evaluation:
    subject = Subject(name=name, base="base", adapter=name)
    return Evaluation(
        set_id="simulated", target=world.target, subject=subject, settings={}, scores=tuple(scores), seconds=0.0
    )


def rates(world: World, rounds: int, seed: int, rules: Rules | None = None) -> Rates:
    """How often the gate promotes and rejects in a simulated world, by the given rules."""
    chance = random.Random(seed)
    promoted = rejected = naive = 0
    for _ in range(rounds):
        report = decide(*simulate(world, chance), rules=rules or Rules())
        promoted += report.verdict is GateVerdict.PROMOTE
        rejected += report.verdict is GateVerdict.REJECT
        naive += any(test.p_item <= 0.05 and test.difference > 0 for test in report.tests if test.primary)
    return Rates(promoted / rounds, rejected / rounds, naive / rounds)


def main() -> None:
    """Print a line for each simulated world."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print("target     repositories  items  gain  spread  promoted (+- s.e.)  rejected  ignoring repositories")
    for target in (TrainingTarget.SCOPE, TrainingTarget.CODE):
        for gain in (0.0, 0.5, 1.0):
            for repositories, items in ((6, 20), (8, 30), (12, 25), (25, 12)):
                for spread in (0.0, 0.7):
                    world = World(target, repositories, items, gain, spread)
                    seen = rates(world, options.rounds, options.seed)
                    error = sqrt(seen.promoted * (1 - seen.promoted) / options.rounds)
                    print(
                        f"{target.value:<10} {repositories:>12} {items:>6} {gain:>5} {spread:>7} "
                        f"{seen.promoted:>9.3f} +- {error:.3f} {seen.rejected:>9.3f} {seen.naive:>10.3f}",
                        flush=True,
                    )
    for repositories, items in ((6, 20), (8, 30), (12, 25), (25, 12)):
        seen = rates(
            World(TrainingTarget.SCOPE, repositories, items, 0.0, 0.7, uneven=True), options.rounds, options.seed
        )
        print(f"{repositories} uneven repositories, no gain, spread 0.7, skewed: promoted {seen.promoted:.3f}")
    for rules, name in ((Rules(), "off"), (Rules(item_level=True), "on")):
        for spread in (0.0, 0.7):
            seen = rates(World(TrainingTarget.SCOPE, 4, 40, 0.0, spread), options.rounds, options.seed, rules)
            print(f"four repositories, no gain, spread {spread}, item_level {name}: promoted {seen.promoted:.3f}")


if __name__ == "__main__":
    main()
