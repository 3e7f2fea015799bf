"""What an environment is to blame for beyond the first error: requirements left out for want of a wheel, where a module
is missing, and a Python that is younger than the commit."""

import re
from dataclasses import replace
from datetime import date

from harness.packages.gold_decision import GoldVerdict
from harness.packages.locking import with_dropped
from models.causes import Layer, TestCategory
from models.manifest import NODE, Commit, Environment, InvalidReason
from repos.git import Git
from runtime.environments import discover_commit, interpreter_for
from runtime.environments.eras import left_out
from runtime.environments.interpreters import OLDEST_PYTHON, newest_of, released

_NAMED = re.compile(r"\b(?:C?Python|py)[ -]?3\.(\d{1,2})\b", re.IGNORECASE)
_PERHAPS_THE_PYTHONS = (InvalidReason.COLLECTION_ERROR, InvalidReason.CRASHED, InvalidReason.GOLD_FAILS)


def naming_left_out(verdict: GoldVerdict, git: Git, commit: Commit, environment: Environment) -> GoldVerdict:
    """A verdict; where a module is missing, its cause names the requirements that were left out of the environment.

    If one of them is called like the module, the cause lies in the download. Raises EnvironmentFault.
    """
    cause = verdict.cause
    if environment.language == NODE:
        return verdict
    if cause is not None and cause.category is None:
        return naming_python(verdict, environment, commit.message)
    if cause is None or cause.category is not TestCategory.MISSING_MODULE:
        return verdict
    project = with_dropped(discover_commit(git, commit.sha), discover_commit(git, commit.parent))
    missing = sorted(left_out(project, interpreter_for(environment.abi), environment))
    if not missing:
        return verdict
    said = f"left out for want of a wheel: {', '.join(missing)}"
    module = re.search(r"No module named '?([\w.]+)|could not import '?([\w.]+)", cause.text)
    named = _plain((module[1] or module[2]).partition(".")[0]) if module else ""
    download = bool(named) and any(named in _plain(name) for name in missing)
    update = {"text": f"{cause.text}; {said}", "remedy": "only a build from source would give a wheel"}
    if download:
        update["layer"] = Layer.DOWNLOAD
    detail = f"{verdict.detail}; {said}"
    return replace(verdict, detail=detail, cause=cause.model_copy(update=update))


def naming_python(verdict: GoldVerdict, environment: Environment, message: str = "") -> GoldVerdict:
    """A verdict; where its environment's Python is younger than its releases, and no remedy is known, that is one. So
    is a newer Python where nothing distinguishes a commit whose message names it."""
    newer = max((int(minor) for minor in _NAMED.findall(message)), default=0)
    if verdict.reason is InvalidReason.NO_FAIL_TO_PASS and newer > int(environment.python.partition(".")[2]):
        remedy = f"the commit is about Python 3.{newer}: run `uv python install 3.{newer}`"
        return replace(verdict, cause=verdict.cause and verdict.cause.model_copy(update={"remedy": remedy}))
    day, cause = date.fromisoformat(environment.cutoff), verdict.cause
    if cause is None or cause.remedy or verdict.reason not in _PERHAPS_THE_PYTHONS or released(environment.python, day):
        return verdict
    older = newest_of(day)
    remedy = (
        f"run `uv python install {older}`"
        if older
        else f"only a Python before {OLDEST_PYTHON} might, which cannot be used here"
    )
    return replace(verdict, cause=cause.model_copy(update={"remedy": remedy}))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
