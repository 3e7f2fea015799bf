"""What each training back end needs installed, and the one command that installs it."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from packaging.version import Version

from host.checkout import ROOT, locked_versions
from training.fit.recipe import TrainingBackend

_TRAINERS = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "safetensors")
NEEDED: dict[TrainingBackend, tuple[str, ...]] = {
    "trl-cpu": _TRAINERS,
    "trl-gpu": (*_TRAINERS, "bitsandbytes"),
    "unsloth-gpu": (*_TRAINERS, "bitsandbytes", "unsloth", "unsloth-zoo"),
}
CPU_TRL = "1.16"
"""The first version of trl whose loss is computed without a GPU."""
EXTRAS: dict[TrainingBackend, tuple[str, ...]] = {
    "trl-cpu": ("train",),
    "trl-gpu": ("train", "cuda"),
    "unsloth-gpu": ("unsloth",),
}
"""The extras with these packages; uv refuses `train` and `unsloth` together, whose versions exclude each other."""


class Installed(NamedTuple):
    """The packages of a back end: versions of those that are installed, names of those that are missing, and of those
    whose version is in no lock of this checkout."""

    versions: dict[str, str]
    missing: list[str]
    unlocked: list[str]


def needs_newer_trl() -> str | None:
    """The version of trl, if it is too old to train on a processor, as the one that Unsloth wants is."""
    found = version("trl")
    return found if Version(found) < Version(CPU_TRL) else None


def install_command(backend: TrainingBackend) -> str:
    """The command that installs a back end and keeps other extras."""
    return " ".join(["uv sync --inexact", *(f"--extra {extra}" for extra in EXTRAS[backend])])


def installed(backend: TrainingBackend, root: Path = ROOT) -> Installed:
    """What is installed of a back end, compared with the lock; imports nothing. Raises InfrastructureError."""
    versions: dict[str, str] = {}
    missing: list[str] = []
    for name in NEEDED[backend]:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            missing.append(name)
    locked = locked_versions(root)
    unlocked = [name for name, found in versions.items() if name in locked and found not in locked[name]]
    return Installed(versions, missing, unlocked)
