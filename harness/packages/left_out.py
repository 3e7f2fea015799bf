"""Requirements that were left out of an environment for want of a wheel, where a module is missing."""

import re
from dataclasses import replace

from harness.packages.gold_decision import GoldVerdict
from harness.packages.locking import with_dropped
from models.causes import Layer, TestCategory
from models.manifest import Commit, Environment
from repos.git import Git
from runtime.environments import discover_commit, interpreter_for
from runtime.environments.eras import left_out


def naming_left_out(verdict: GoldVerdict, git: Git, commit: Commit, environment: Environment) -> GoldVerdict:
    """A verdict; where a module is missing, its cause names the requirements that were left out of the environment.

    If one of them is called like the module, the cause lies in the download. Raises EnvironmentFault.
    """
    cause = verdict.cause
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


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
