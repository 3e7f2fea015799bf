"""Hash-pinned locks as of a date. Resolving takes metadata from wheels only, so that no untrusted build ever runs."""

import hashlib
import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from host.air_gap import AS_A_PACKAGE, refuse_network
from host.process import CommandFailed, run
from models.errors import EnvironmentFault, InfrastructureError
from models.manifest import Environment
from runtime.environments.discovery import Project
from runtime.environments.interpreters import Interpreter

_KEY_SCHEMA = 1
_SPEC_SCHEMA = 5
"""Raised whenever the same requirements would be locked otherwise; cached locks of older schemas are not used."""
_NEVER = "python_version < '0'"
_SETUPTOOLS, _WITHOUT_SETUPTOOLS = "setuptools", Version("3.12")
"""The first Python for which `venv` and virtualenv leave setuptools out: before it, what needs it does not say so."""
_UPLOADED_AGAIN = {"atomicwrites": date(2022, 7, 10)}
"""Distributions whose releases were deleted and uploaded again, and the day after that: earlier dates say nothing."""
_BACKPORTS = {"importlib-metadata": date(2020, 1, 12)}
"""Distributions that take part in a module of the interpreter, and the day after their first release that works with
the oldest Python here: earlier ones fail on import (3.8's patches changed what finders are given)."""
Later = Mapping[str, date]
"""Distributions (normalised names) with a later cutoff than all others, each with its date."""


def applicable(project: Project, interpreter: Interpreter) -> tuple[str, ...]:
    """A project's requirements whose markers hold for an interpreter on this platform, and `setuptools` for a Python
    that has it in every new environment."""
    python = {"python_version": interpreter.version, "python_full_version": interpreter.full}
    parsed = ((text, Requirement(text)) for text in project.requires)
    found = tuple(text for text, r in parsed if r.marker is None or r.marker.evaluate({**python, "extra": ""}))
    named = {canonicalize_name(_name(text)) for text in (*found, project.name, *project.aliases)}
    if Version(interpreter.version) >= _WITHOUT_SETUPTOOLS or _SETUPTOOLS in named:
        return found
    return tuple(sorted((*found, _SETUPTOOLS)))


def spec_key(project: Project, interpreter: Interpreter) -> str:
    """Hash of the requirements of an environment: commits with the same key may share environments."""
    requires = applicable(project, interpreter)
    own = [project.name, *project.aliases]
    modules = list(project.modules)
    return _hash([_SPEC_SCHEMA, own, modules, project.requires_python, requires, project.constraints, interpreter.abi])


def environment_key(requires: tuple[str, ...], lock_text: str, abi: str) -> str:
    """Hash of the content of an environment; the order of the requirements does not matter."""
    return _hash([_KEY_SCHEMA, sorted(requires), lock_text, abi])


def _hash(parts: list[object]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]


def lock(
    project: Project, interpreter: Interpreter, cutoff: date, index_url: str | None = None, later: Later | None = None
) -> Environment:
    """Resolve a project's requirements among releases uploaded before `cutoff` (00:00 UTC), excluding its own
    distribution, whose needs are among the requirements. For the distributions in `later`, releases up to their dates
    count.

    The repository's own pins are used if they can be satisfied; otherwise only those of direct requirements, then none.
    A test requirement that had no wheel for this interpreter at the time, or depends on one that had none, or had no
    release at all, is left out, which shows in `requires` of the result; tests that need it then skip, and validation
    detects that. The result has no wheels yet: `fetch_wheels` adds them. Raises EnvironmentFault with the resolver's
    reason if there is no solution, AirGapError in air-gapped mode, InfrastructureError if the index does not answer.
    """
    refuse_network(f"locking the requirements of {project.name}", AS_A_PACKAGE)
    requires = applicable(project, interpreter)
    releases = _Releases(cutoff, later or {}, index_url)
    while True:
        try:
            text = _resolve(project, requires, interpreter, releases)
        except CommandFailed as error:
            dropped = _unavailable(error.stderr, set(requires) - set(project.runtime))
            if not dropped:
                raise EnvironmentFault(
                    f"requirements of {project.name} cannot be resolved with releases before {cutoff}: "
                    f"{_essence(error.stderr)}"
                ) from error
            requires = tuple(text for text in requires if text not in dropped)
        else:
            return Environment(
                key=environment_key(requires, text, interpreter.abi),
                python=interpreter.version,
                abi=interpreter.abi,
                requires=requires,
                cutoff=max([cutoff, *releases.later.values()]).isoformat(),
                lock=text,
                wheels=(),
            )


@dataclass(frozen=True)
class _Releases:
    """The releases considered, and the indexes searched."""

    cutoff: date
    later: Later
    index_url: str | None

    def options(self) -> list[str]:
        """The resolver's options."""
        found = ["--exclude-newer", _midnight(self.cutoff)]
        for name, day in sorted({**_BACKPORTS, **self.later, **_UPLOADED_AGAIN}.items()):
            if day > self.cutoff:
                found += ["--exclude-newer-package", f"{name}={_midnight(day)}"]
        return [*found, "--index-url", self.index_url] if self.index_url else found


def _midnight(day: date) -> str:
    return f"{day.isoformat()}T00:00:00Z"


def _resolve(project: Project, requires: tuple[str, ...], interpreter: Interpreter, releases: _Releases) -> str:
    own = (project.name, *project.aliases)
    direct = {_name(text) for text in requires}
    some = tuple(pin for pin in project.constraints if _name(pin) in direct)
    failure: CommandFailed | None = None
    for constraints in dict.fromkeys((project.constraints, some, ())):
        try:
            return _compile(own, requires, interpreter, constraints, releases)
        except CommandFailed as error:
            if not _unsatisfiable(error):
                raise InfrastructureError(f"cannot resolve {project.name}: {_essence(error.stderr)}") from error
            failure = error
    assert failure is not None
    raise failure


def _name(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0]


def _unavailable(stderr: str, droppable: set[str]) -> set[str]:
    """The droppable requirements (never pytest) that the resolver reports to have no wheels or no releases, or to
    depend on what has none."""
    text = _flat(stderr).partition(" hint: ")[0]
    clauses = re.findall(r"(?:Because|and|,)((?:(?!Because|\band\b|,).)*?)ha(?:s|ve) no usable", text)
    named = {name for clause in clauses for name in re.findall(r"[a-z][\w.-]*", clause)}
    named |= set(re.findall(r"there (?:are|is) no versions? of ([\w.-]+)", text))
    needing: list[tuple[str, str]] = re.findall(r"([a-z][\w.-]*)\S* depends? on ([a-z][\w.-]*)", text)
    for _ in needing:
        named |= {needs for needs, needed in needing if needed in named}
    return {text for text in droppable if _name(text) in named and _name(text) != "pytest"}


def _compile(
    own: tuple[str, ...],
    requires: tuple[str, ...],
    interpreter: Interpreter,
    constraints: tuple[str, ...],
    releases: _Releases,
) -> str:
    """A lock's text. The own distribution is overridden by a requirement that never holds, so that neither it nor a
    version that its dependents require is searched for; what the tree itself needs is in `requires`."""
    with tempfile.TemporaryDirectory(prefix="cra-lock-") as folder:
        requirements, pinned = Path(folder, "requirements.in"), Path(folder, "constraints.txt")
        overridden = Path(folder, "overrides.txt")
        requirements.write_text("".join(f"{line}\n" for line in requires))
        pinned.write_text("".join(f"{line}\n" for line in constraints if canonicalize_name(_name(line)) not in own))
        overridden.write_text("".join(f"{name} ; {_NEVER}\n" for name in own))
        argv = ["uv", "pip", "compile", str(requirements), "--constraint", str(pinned), "--override", str(overridden),
                "--generate-hashes", "--no-build", "--no-header", "--no-annotate", "--quiet",
                "--python", str(interpreter.executable), *releases.options()]  # fmt: skip
        for name in own:
            argv += ["--no-emit-package", name]
        return run(argv, cwd=Path(folder), env={"UV_NO_CONFIG": "1", "NO_COLOR": "1"}).decode()


def _unsatisfiable(error: CommandFailed) -> bool:
    return "No solution found" in error.stderr or "unsatisfiable" in error.stderr or "Because" in error.stderr


def _essence(stderr: str) -> str:
    """The sentence of a resolver's message with the reason, in one line of at most 300 characters."""
    text = _flat(stderr)
    because = re.search(r"Because .*?(?:, we can conclude|\. |$)", text)
    chosen = because.group(0).removesuffix(", we can conclude") if because else text
    return chosen[:300] or "the resolver said nothing"


def _flat(stderr: str) -> str:
    return " ".join(re.sub(r"[×╰─▶│├╭]", " ", stderr).split())
