"""Makes an archive of a data directory and a cache as a run of this code leaves them. Needs a package index.

`python tests/data/make_stored_before.py` from the root of a checkout writes `NEWEST`. What is made anew shows nothing
about what older code has stored, so `FIRST` stays as it is, for all that later code must still read. `NEWEST` holds the
same with the answers, verdicts and evaluations that today's prompts and planners ask for: it is made again only when
these change on purpose, so that earlier ones are not found again.
"""

import json
import os
import shutil
import sqlite3
import sys
import tarfile
from pathlib import Path

ROOT = Path("/tmp/stored-before")  # stands in databases; the test moves it
FIRST = Path(__file__).with_name("stored_before.tar.xz")
NEWEST = Path(__file__).with_name("stored_newest.tar.xz")
EXPECTED = "expected.json"
"""In the archive: the identities of the training, the adapter, the base and the datasets in it."""
TESTS = Path(__file__).parents[1]
SETTINGS = {
    "CUDA_VISIBLE_DEVICES": "",
    "CRA_DATA_DIR": ROOT / "data",
    "CRA_CACHE_DIR": ROOT / "cache",
    "CRA_TRAINING__BACKEND": "trl-cpu",
    "CRA_TRAINING__MAX_STEPS": 4,
    "CRA_TRAINING__BATCH_SIZE": 2,
    "CRA_TRAINING__VALIDATION_ROWS": 2,
    "CRA_TRAINING__CHECKPOINT_STEPS": 2,
    "CRA_TRAINING__RANK": 2,
}
LEFT_OUT = ("checkpoint", "signing-key.pem", "packages", "engine.db", ".lock", "-shm", "-wal", "loss.svg")
"""Parts of names of what no later run needs, or what is no one else's business."""


def run_campaign() -> None:
    """The sample repository's package, and its newest instance by gold and null."""
    from flows.campaign import campaign
    from flows.prepare import prepare
    from harness.packages.sample import build_sample

    prepare(str(build_sample(ROOT / "spans")), ROOT / "corpus")
    campaign([ROOT / "corpus" / "spans"], ["gold", "null"], "before", limit=1)


def learn() -> None:
    """Datasets of runs on record, a frozen set, and an adapter of a tiny base that is trained, measured, promoted."""
    from evals.sets import build_set, freeze
    from flows.train import TrainOrder, train
    from models.training import TrainingTarget
    from tests.support.pairs_material import Repository, World, varied_gold_runs
    from tests.support.tiny import make_tiny_base
    from training.adapters.registry import Registry
    from training.bases.bases import add_base
    from training.data.curation import curate

    world = World(ROOT / "data")
    varied_gold_runs(world, *(Repository(name) for name in ("alpha", "beta", "gamma", "hidden")))
    add_base(world.curated, world.folder, make_tiny_base(ROOT / "tiny", hidden=16, layers=1), "tiny")
    freeze(world.curated, world.raw.engine, build_set(world.raw.engine, TrainingTarget.SCOPE, ["hidden"], limit=2))
    for target in (TrainingTarget.SCOPE, TrainingTarget.PRECISION):
        request = world.request(target, campaigns=("c",)).model_copy(update={"data_dir": str(world.folder)})
        curate(world.raw, world.curated, request)
    train(TrainOrder(target=TrainingTarget.SCOPE, base="tiny"))
    Registry(world.curated, world.folder).promote("scope-v1", override="so that one serves")


def note_identities() -> None:
    """Write the identities of what was learned beside the databases."""
    from host.settings import load_settings
    from models.training import TrainingTarget
    from training.cycle.context import open_context
    from training.cycle.lifecycle import find_inputs
    from training.cycle.orders import TrainOrder
    from training.data.datasets import newest_dataset, read_dataset
    from training.fit.job import job_for

    context = open_context(load_settings())
    found = find_inputs(context, TrainOrder(target=TrainingTarget.SCOPE, base="tiny"))
    active = context.registry.active(TrainingTarget.SCOPE)
    assert active is not None
    targets = (TrainingTarget.SCOPE, TrainingTarget.PRECISION)
    directories = {each: newest_dataset(context.raw, load_settings().data_dir, each) for each in targets}
    values = {
        "plan": job_for(found.card, found.dataset, found.base, "sft", context.settings.training).id,
        "adapter": active.id,
        "base": active.base,
        "datasets": {target.value: read_dataset(path).id[:12] for target, path in directories.items()},
    }
    (ROOT / EXPECTED).write_text(json.dumps(values, indent=1) + "\n")


def pack() -> None:
    """Everything but what no later run needs."""
    for database in (ROOT / "data").glob("*.sqlite"):
        with sqlite3.connect(database) as connection:
            connection.execute("VACUUM")
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            assert not busy, f"{database} is in use; its newest rows are not in the file"

    def kept(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        return None if any(part in entry.name.rpartition("/")[2] for part in LEFT_OUT) else entry

    with tarfile.open(NEWEST, "w:xz", preset=9) as archive:
        for name in ("data", "cache/engine", "corpus", EXPECTED):
            archive.add(ROOT / name, name, filter=kept)


if __name__ == "__main__":
    shutil.rmtree(ROOT, ignore_errors=True)
    os.environ |= {name: str(value) for name, value in SETTINGS.items()}
    (ROOT / "corpus").mkdir(parents=True)
    os.chdir(ROOT)  # no cra.toml of a checkout counts
    sys.path.insert(0, str(TESTS.parent))
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        run_campaign()
        learn()
        note_identities()
    pack()
