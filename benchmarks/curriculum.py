"""Does the order of the examples matter? The same rows, as often, in three orders, with several seeds.

    uv run python benchmarks/curriculum.py --mix MIX.toml --base NAME [--stage code] [--limit N] [--seeds 3] [--json]

The mix is curated once for each order (easy-to-hard, random, hard-to-easy; difficulty is the tokens of an example),
from the collections and runs of the data directory in the settings. An adapter is trained on each with the same pacing,
so that only the order of the rows differs: tokens and steps must be equal, which is checked (they are if all weights
are 1). Columns: the loss on the validation rows after the last step, and the best on the way, as means over seeds with
the smallest and largest; and the difference from the random order by seed. A finished training is found again in
`--out`.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from host.settings import load_settings
from models.curation_settings import CurationRequest
from models.mix import LearningOrder, MixSettings
from models.training import TrainingTarget
from store.database import open_database
from store.runs import open_raw_store
from training.bases.bases import Base, find_base
from training.data.curation import curate
from training.data.curation.blending import read_mix
from training.fit.fitting import Fit, fit_sft
from training.fit.recipe import recipe_for

ORDERS: tuple[LearningOrder, ...] = ("easy-to-hard", "random", "hard-to-easy")
PACING = 0.5


class Trained(NamedTuple):
    """A training: its order and seed, tokens trained on, and losses on the validation rows."""

    order: str
    seed: int
    tokens: int
    steps: int
    last: float
    best: float


def main() -> None:
    """Curate, train, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mix", type=Path, required=True)
    parser.add_argument("--base", required=True)
    parser.add_argument("--stage", type=TrainingTarget, default=TrainingTarget.CODE)
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--max-prompt-tokens", type=int, default=None)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("curriculum"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    settings = load_settings()
    base = find_base(open_database(settings.curated_url, "curated"), options.base)
    mix = read_mix(options.mix)
    datasets = {order: _dataset(options, mix.model_copy(update={"order": order})) for order in ORDERS}
    done = []
    for seed in range(options.seeds):
        for order, dataset in datasets.items():
            done.append(_trained(dataset, base, options, order, seed))
            print(done[-1], flush=True)
    if len({(each.tokens, each.steps) for each in done}) > 1:
        raise SystemExit("the trainings differ in tokens or steps, so they cannot be compared")
    print(json.dumps([each._asdict() for each in done]) if options.json else _table(done))


def _dataset(options: argparse.Namespace, mix: MixSettings) -> Path:
    settings = load_settings()
    request = CurationRequest(
        target=options.stage,
        data_dir=str(settings.data_dir),
        settings=settings.curation,
        mix=mix,
        base=options.base,
        windows=settings.models.windows,
        max_prompt_tokens=options.max_prompt_tokens,
        limit=options.limit,
        min_organisations=1,
        max_domain_share=1.0,
    )
    made = curate(open_raw_store(settings.raw_url), open_database(settings.curated_url, "curated"), request)
    assert made.dataset_dir is not None
    return made.dataset_dir


def _trained(dataset: Path, base: Base, options: argparse.Namespace, order: str, seed: int) -> Trained:
    training = load_settings().training.model_copy(update={"seed": seed, "pacing": PACING, "patience": 10_000})
    recipe = recipe_for(options.stage, "sft", training)
    out = options.out / f"{order}-{seed}"
    fit: Fit = fit_sft(dataset, base, out, recipe, lambda progress: None)
    losses = [loss for _, loss in fit.eval_losses]
    return Trained(order, seed, fit.tokens, fit.eval_losses[-1][0], losses[-1], min(losses))


def _table(done: Sequence[Trained]) -> str:
    by_order = {order: [each for each in done if each.order == order] for order in ORDERS}
    rows = [("order", "last loss", "best loss", "less random, by seed")]
    for order, trained in by_order.items():
        differences = [one.last - other.last for one, other in zip(trained, by_order["random"], strict=True)]
        signed = ", ".join(f"{each:+.4f}" for each in differences)
        rows.append((order, _spread([each.last for each in trained]), _spread([each.best for each in trained]), signed))
    rows.append(("tokens, steps", f"{done[0].tokens}", f"{done[0].steps}", ""))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _spread(values: Sequence[float]) -> str:
    return f"{fmean(values):.4f} ({min(values):.4f} to {max(values):.4f})"


if __name__ == "__main__":
    main()
