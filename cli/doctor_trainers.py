"""`cra doctor` on what trains and what serves: each training back end, and the environments of vLLM."""

import sys
from collections.abc import Iterator
from functools import cache

from host.process import CommandFailed, run
from llm.serving.environments import check_complete, environments, made_environments, probe_environment
from models.errors import ServingError
from models.rehearsal import Finding, Verdict
from models.settings import Settings
from training.fit.installed import EXTRAS, NEEDED, install_command, installed, needs_newer_trl
from training.fit.recipe import TrainingBackend

_SHOWN = ("torch", "transformers", "trl", "peft", "bitsandbytes", "unsloth")
_GPU = "import torch; print(torch.cuda.get_device_name(0) if torch.cuda.is_available() else '')"


def trainers(settings: Settings) -> Iterator[Finding]:
    """A finding for each back end. One that cannot train here is a failure if the settings name it, else a warning."""
    wanted = settings.training.backend
    for backend in NEEDED:
        bad: Verdict = "failed" if wanted == backend else "warning"
        yield _trainer(backend, bad, _command(backend, settings))


def _command(backend: TrainingBackend, settings: Settings) -> str:
    """How a back end gets here; nothing can be fetched behind an air gap."""
    if settings.air_gapped:
        extras = " ".join(f"--extra {extra}" for extra in EXTRAS[backend])
        return f"a later bundle, of `cra bundle make {extras}` and the extras that are here"
    return f"`{install_command(backend)}`"


def _trainer(backend: TrainingBackend, bad: Verdict, command: str) -> Finding:
    what = f"trainer {backend}"
    found = installed(backend)
    versions = ", ".join(f"{name} {found.versions[name]}" for name in _SHOWN if name in found.versions)
    if found.missing:
        return Finding(what=what, verdict=bad, found=f"missing: {', '.join(found.missing)}", remedy=command)
    if found.unlocked:
        others = ", ".join(f"{name} {found.versions[name]}" for name in found.unlocked)
        return Finding(what=what, verdict="warning", found=f"other versions than in uv.lock: {others}", remedy=command)
    if backend == "trl-cpu" and (older := needs_newer_trl()):
        return Finding(what=what, verdict=bad, found=f"trl {older} trains on a GPU only", remedy=command)
    if backend == "trl-cpu":
        return Finding(what=what, verdict="ok", found=versions)
    try:
        gpu = _gpu()
    except CommandFailed as error:
        return Finding(what=what, verdict=bad, found=f"torch cannot be imported: {error}", remedy=command)
    if not gpu:
        return Finding(what=what, verdict=bad, found=f"{versions}; torch finds no GPU", remedy="trl-cpu trains without")
    return Finding(what=what, verdict="ok", found=f"{versions}, on {gpu}")


@cache
def _gpu() -> str:
    """The name of the GPU that torch uses; empty without one."""
    return run([sys.executable, "-c", _GPU], timeout=120.0).decode().strip()


def vllm(settings: Settings) -> Iterator[Finding]:
    """A finding for each environment that was made; one for all where none was, or another is set."""
    if settings.serving.python:
        yield Finding(what="vllm", verdict="ok", found=f"serving.python is {settings.serving.python}; not checked")
        return
    places = environments()
    made = made_environments()
    for each in made:
        what = f"vllm, environments/{each.name}"
        try:
            check_complete(each)
            facts, locked = probe_environment(each), each.locked()
        except ServingError as error:
            found, _, remedy = str(error).rpartition("; ")
            yield Finding(what=what, verdict="failed", found=found, remedy=remedy)
            continue
        said = f"vLLM {facts.version}, torch {facts.torch}, {facts.gpu or 'no GPU'}"
        if facts.version != locked:
            found = f"{said}; its lock has {locked}"
            yield Finding(what=what, verdict="failed", found=found, remedy=f"`{each.command}`")
        elif each.name == "vllm" and not facts.gpu:
            remedy = "serve on a machine with one, or try `uv sync --locked --project environments/vllm-cpu`"
            yield Finding(what=what, verdict="warning", found=said, remedy=remedy)
        else:
            yield Finding(what=what, verdict="ok", found=said)
    if not made:
        remedy = f"`{places[0].command}`, if it is to be served with" if places else "set serving.python"
        yield Finding(what="vllm", verdict="warning", found="no environment was made", remedy=remedy)
