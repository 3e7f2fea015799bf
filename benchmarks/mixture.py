"""Does one base learn several objectives at once as well as each by itself? A mixture against single objectives.

    uv run python benchmarks/mixture.py --mix MIX.toml --base NAME [--role reasoning] [--rows 256] [--json]

Full fine-tunes of one base on the mixture, and on each of its objectives alone, with the same recipe, each on as many
rows (`--rows` at most; tokens are printed, for rows of objectives differ in length). All are measured on the same
held-out rows, of repositories that no dataset of the mixture trains on. Columns: the loss of each objective's rows,
nats per token; for the mixture the difference from the single training of that objective, with its sign-flip p over
repositories. Nothing is registered. A finished training is found again in `--out`.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from evals.paired import sign_flip_over_repositories
from host.settings import load_settings
from models.base_evaluation import RowLoss
from models.objectives import Objective
from store.database import open_database
from store.runs import open_raw_store
from training.bases.bases import Base, find_base
from training.bases.chat_format import ChatFormat
from training.cycle.base_measures import HeldOut, held_out_losses, held_out_rows
from training.data.mixtures import TARGETS, make_mixture, read_mixture
from training.fit.fitting import fit_full
from training.fit.recipe import recipe_for

BARE, MIXED = "base", "mixture"
Losses = Mapping[Objective, Sequence[RowLoss]]


class Measured(NamedTuple):
    """A training by its name (the base without one, the mixture, or an objective), its tokens, the share of weights
    that it changed, and its losses."""

    name: str
    tokens: int
    changed: float | None
    losses: Losses


def main() -> None:
    """Train, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mix", type=Path, required=True)
    parser.add_argument("--base", required=True)
    parser.add_argument("--role", choices=("reasoning", "coding"), default="reasoning")
    parser.add_argument("--rows", type=int, default=256)
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
    done = [Measured(BARE, 0, None, _losses(base, base, held))]
    for wanted in ((), *((objective,) for objective in whole.shares)):
        mixed = make_mixture(raw, settings.data_dir, mix, options.role, wanted)
        name = wanted[0].value if wanted else MIXED
        done.append(_trained(name, mixed.directory, tuple(mixed.shares.items()), base, held, options))
        print(f"{name}: {done[-1].tokens} tokens, {done[-1].changed:.1%} of the weights changed", flush=True)
    rows = _rows(done)
    print(json.dumps(rows) if options.json else "\n".join("| " + " | ".join(row) + " |" for row in rows))


def _trained(
    name: str,
    dataset: Path,
    shares: tuple[tuple[Objective, float], ...],
    base: Base,
    held: HeldOut,
    options: argparse.Namespace,
) -> Measured:
    training = load_settings().training
    steps = max(1, options.rows // training.batch_size)
    training = training.model_copy(
        update={"seed": options.seed, "full_learning_rate": options.rate, "max_steps": steps, "patience": 10_000}
    )
    recipe = recipe_for(TARGETS[options.role], "full", training).model_copy(update={"mixture": shares})
    out = options.out / f"{name}-{options.seed}-{options.rows}"
    fit = fit_full(dataset, base, out, recipe, lambda progress: None)
    return Measured(name, fit.tokens, fit.changed, _losses(base._replace(path=fit.adapter_dir, name=name), base, held))


def _losses(tuned: Base, base: Base, held: HeldOut) -> Losses:
    settings = load_settings().training
    chat = ChatFormat.load(base.path, settings.thinking)
    return held_out_losses(tuned, chat, held, settings.max_tokens)


def _rows(done: Sequence[Measured]) -> list[list[str]]:
    single = {each.name: each for each in done}
    objectives = sorted(single[BARE].losses)
    rows = [["trained on", "tokens", *(each.value for each in objectives)]]
    for each in done:
        losses = [f"{fmean(row.loss for row in each.losses[objective]):.4f}" for objective in objectives]
        rows.append([each.name, str(each.tokens), *losses])
    compared = [_difference(single[MIXED].losses[o], single[o.value].losses[o]) for o in objectives]
    return [*rows, ["mixture less single", "", *compared]]


def _difference(mixed: Sequence[RowLoss], single: Sequence[RowLoss]) -> str:
    groups: dict[str, list[float]] = {}
    for one, other in zip(mixed, single, strict=True):
        groups.setdefault(one.repository, []).append(one.loss - other.loss)
    mean = fmean(value for values in groups.values() for value in values)
    return f"{mean:+.4f} (p {sign_flip_over_repositories(groups):.3f}, {len(groups)} repositories)"


if __name__ == "__main__":
    main()
