"""Does one base learn several objectives at once as well as each by itself? A mixture against single objectives.

    uv run python benchmarks/mixture.py --mix MIX.toml --base NAME [--role reasoning] [--rows 240] [--json]

Full fine-tunes of one base with one recipe: on the mixture, on each of its objectives alone with as many rows in all,
and on each alone with the rows that are its share of the mixture. Against the first a mixture shows what its budget
costs an objective; against the second what the rows of the others give or take, as the objective's own are as many.
Rows are draws: an objective with fewer rows repeats them. Each training ends after its last step, so that nothing is
chosen on held-out rows; these are of repositories that no dataset of the mixture trains on, `--held-out` of each
objective at most. Columns: the loss of each objective's rows, nats per token; below, differences of the mixture with
their sign-flip p over repositories. Nothing is registered. What is finished is found again in `--out`.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from cli.progress import step_bars
from evals.paired import sign_flip_over_repositories
from host.settings import load_settings
from models.base_evaluation import RowLoss
from models.mixture import MixtureSettings
from models.objectives import Objective
from models.plans import Frozen
from store.database import open_database
from store.keys import digest
from store.runs import RawStore, open_raw_store
from training.bases.bases import Base, find_base
from training.bases.chat_format import ChatFormat
from training.cycle.base_measures import HeldOut, held_out_losses, held_out_rows
from training.cycle.kept_measures import read_measures, write_measures
from training.data.mixtures import TARGETS, Mixture, make_mixture, read_mixture
from training.fit.fitting import fit_full
from training.fit.recipe import recipe_for

MIXED, OWN_SHARE = "mixture", "-share"


class Losses(Frozen):
    """The losses of the held-out rows, by objective."""

    of: dict[Objective, tuple[RowLoss, ...]]


class Arm(NamedTuple):
    """A training, or the base without one: its name, the rows and tokens that it drew, and its losses."""

    name: str
    rows: int
    tokens: int
    losses: Losses


class Ablation(NamedTuple):
    """What all trainings have in common; `show` is told what is done, its steps so far, and all of them."""

    raw: RawStore
    base: Base
    mix: MixtureSettings
    held: HeldOut
    options: argparse.Namespace
    show: Callable[[str, int, int], None]

    def untrained(self) -> Arm:
        return Arm("base", 0, 0, self._losses(self.base, self.options.out / "base"))

    def train(self, name: str, wanted: Sequence[Objective], rows: int) -> Arm:
        """Train on these objectives (none: all) until so many rows were drawn, and measure."""
        settings = load_settings()
        mixed = make_mixture(self.raw, settings.data_dir, self.mix, self.options.role, wanted)
        changes = {"seed": self.options.seed, "full_learning_rate": self.options.rate, "packing": False}
        training = settings.training.model_copy(update=changes)
        steps = max(1, rows // training.batch_size)
        recipe = recipe_for(TARGETS[self.options.role], "full", training).model_copy(
            update={
                "mixture": tuple(mixed.shares.items()),
                "epochs": _epochs(mixed, rows),
                "max_steps": steps,
                "validation_rows": 0,
            }
        )
        out = self.options.out / f"{name}-{rows}-{self.options.seed}"
        fit = fit_full(
            mixed.directory, self.base, out, recipe, lambda at: self.show(f"train {name}", at.step, at.steps)
        )
        losses = self._losses(self.base._replace(path=fit.adapter_dir, name=name), out)
        said = f"{name}: {fit.tokens} tokens in {fit.steps} steps, {fit.changed:.1%} of the weights changed"
        print(said, file=sys.stderr, flush=True)
        return Arm(name, fit.steps * training.batch_size, fit.tokens, losses)

    def _losses(self, tuned: Base, place: Path) -> Losses:
        settings = load_settings().training
        ids = [row["id"] for rows in self.held.records.values() for row in rows]
        file = place / f"held-out-{digest(self.base.id, *ids, settings.max_tokens)[:12]}.json"
        if (known := read_measures(file, Losses)) is not None:
            return known
        chat = ChatFormat.load(self.base.path, settings.thinking)
        losses = Losses(of=held_out_losses(tuned, chat, self.held, settings.max_tokens, self.show))
        write_measures(file, losses)
        return losses


def main() -> None:
    """Train, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mix", type=Path, required=True)
    parser.add_argument("--base", required=True)
    parser.add_argument("--role", choices=("reasoning", "coding"), default="reasoning")
    parser.add_argument("--rows", type=int, default=240)
    parser.add_argument("--held-out", type=int, default=96)
    parser.add_argument("--rate", type=float, default=2e-5)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--out", type=Path, default=Path("mixture-ablation"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    settings = load_settings()
    base = find_base(open_database(settings.curated_url, "curated"), options.base)
    raw, mix = open_raw_store(settings.raw_url), read_mixture(options.mix)
    whole = make_mixture(raw, settings.data_dir, mix, options.role)
    held = held_out_rows(whole.directory)
    held = held._replace(records={each: rows[: options.held_out] for each, rows in held.records.items()})
    with step_bars() as show:
        arms = _arms(Ablation(raw, base, mix, held, options, show), whole)
    rows = _table(arms)
    print(json.dumps(rows) if options.json else "\n".join("| " + " | ".join(row) + " |" for row in rows))


def _arms(ablation: Ablation, whole: Mixture) -> list[Arm]:
    rows = ablation.options.rows
    arms = [ablation.untrained(), ablation.train(MIXED, (), rows)]
    for objective, share in whole.shares.items():
        arms.append(ablation.train(objective.value, (objective,), rows))
        arms.append(ablation.train(objective.value + OWN_SHARE, (objective,), round(share * rows)))
    return arms


def _epochs(mixed: Mixture, rows: int) -> int:
    """Epochs that draw so many rows at least: one is as long as no objective repeats its rows."""
    shortest = min(mixed.trained[objective] / share for objective, share in mixed.shares.items() if share)
    return max(1, math.ceil(2 * rows / shortest))  # twice, as rows over the limit of tokens are left out later


def _table(arms: Sequence[Arm]) -> list[list[str]]:
    named = {each.name: each.losses.of for each in arms}
    objectives = sorted(named[MIXED])
    table = [["trained on", "rows", "tokens", *(each.value for each in objectives)]]
    for each in arms:
        losses = [f"{fmean(row.loss for row in each.losses.of[objective]):.4f}" for objective in objectives]
        table.append([each.name, str(each.rows), str(each.tokens), *losses])
    for what, suffix in (("mixture less single", ""), ("mixture less single on its share", OWN_SHARE)):
        compared = [_difference(named[MIXED][o], named[o.value + suffix][o]) for o in objectives]
        table.append([what, "", "", *compared])
    return table


def _difference(mixed: Sequence[RowLoss], single: Sequence[RowLoss]) -> str:
    groups: dict[str, list[float]] = {}
    for one, other in zip(mixed, single, strict=True):
        groups.setdefault(one.repository, []).append(one.loss - other.loss)
    mean = fmean(value for values in groups.values() for value in values)
    return f"{mean:+.4f} (p {sign_flip_over_repositories(groups):.3f}, {len(groups)} repositories)"


if __name__ == "__main__":
    main()
