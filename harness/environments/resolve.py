"""Era-dated, hash-pinned locks. Resolving takes metadata from wheels only, so that no stranger's build ever
runs."""

import hashlib
import json
import re
import tempfile
from datetime import date
from pathlib import Path

from packaging.requirements import Requirement

from harness.environments.discovery import Project
from harness.environments.interpreters import Interpreter
from harness.process import CommandFailed, run
from models.errors import EnvironmentFault, InfrastructureError
from models.manifest import Environment

_KEY_SCHEMA = 1


def applicable(project: Project, interpreter: Interpreter) -> tuple[str, ...]:
    """A project's requirements whose markers hold for an interpreter on this platform."""
    python = {"python_version": interpreter.version, "python_full_version": interpreter.full}
    parsed = ((text, Requirement(text)) for text in project.requires)
    return tuple(text for text, r in parsed if r.marker is None or r.marker.evaluate({**python, "extra": ""}))


def spec_key(project: Project, interpreter: Interpreter) -> str:
    """What an environment is asked for, hashed: commits with the same key share the first one's
    environment."""
    requires = applicable(project, interpreter)
    return _hash([_KEY_SCHEMA, project.name, project.requires_python, requires, project.constraints, interpreter.abi])


def environment_key(requires: tuple[str, ...], lock_text: str, abi: str) -> str:
    """What an environment contains, hashed; the order of the requirements does not matter."""
    return _hash([_KEY_SCHEMA, sorted(requires), lock_text, abi])


def _hash(parts: list[object]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]


def lock(project: Project, interpreter: Interpreter, cutoff: date, index_url: str | None = None) -> Environment:
    """Resolve a project's requirements among releases uploaded before `cutoff` (00:00 UTC), own distribution
    excluded.

    The repository's own pins hold if they can; if they cannot, only those of direct requirements, then none.
    A test requirement that had no wheel for this interpreter at the time is left out, which shows in
    `requires` of the result; tests that want it then skip, and validation sees that. The result names no
    wheels yet: `fetch_wheels` does. Raises EnvironmentFault with the resolver's reason if there is no
    solution, InfrastructureError if the index does not answer.
    """
    requires = applicable(project, interpreter)
    while True:
        try:
            text = _resolve(project, requires, interpreter, cutoff, index_url)
        except CommandFailed as error:
            dropped = _without_wheels(error.stderr, set(requires) - set(project.runtime))
            if not dropped:
                raise EnvironmentFault(
                    f"requirements of {project.name} cannot be resolved: {_essence(error.stderr)}"
                ) from error
            requires = tuple(text for text in requires if text not in dropped)
        else:
            return Environment(
                key=environment_key(requires, text, interpreter.abi),
                python=interpreter.version,
                abi=interpreter.abi,
                requires=requires,
                cutoff=cutoff.isoformat(),
                lock=text,
                wheels=(),
            )


def _resolve(
    project: Project,
    requires: tuple[str, ...],
    interpreter: Interpreter,
    cutoff: date,
    index_url: str | None,
) -> str:
    direct = {_name(text) for text in requires}
    some = tuple(pin for pin in project.constraints if _name(pin) in direct)
    failure: CommandFailed | None = None
    for constraints in dict.fromkeys((project.constraints, some, ())):
        try:
            return _compile(project.name, requires, interpreter, cutoff, constraints, index_url)
        except CommandFailed as error:
            if not _unsatisfiable(error):
                raise InfrastructureError(f"cannot resolve {project.name}: {_essence(error.stderr)}") from error
            failure = error
    assert failure is not None
    raise failure


def _name(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0]


def _without_wheels(stderr: str, droppable: set[str]) -> set[str]:
    """Those of the droppable requirements (never pytest) of which the resolver says that they have no
    wheels."""
    clauses = re.findall(r"(?:Because|and|,)((?:(?!Because|\band\b|,).)*?)ha(?:s|ve) no usable", _flat(stderr))
    named = {name for clause in clauses for name in re.findall(r"[a-z][\w-]*", clause)}
    return {text for text in droppable if _name(text) in named and _name(text) != "pytest"}


def _compile(
    own: str,
    requires: tuple[str, ...],
    interpreter: Interpreter,
    cutoff: date,
    constraints: tuple[str, ...],
    index_url: str | None,
) -> str:
    with tempfile.TemporaryDirectory(prefix="cra-lock-") as folder:
        requirements, pinned = Path(folder, "requirements.in"), Path(folder, "constraints.txt")
        requirements.write_text("".join(f"{line}\n" for line in requires))
        pinned.write_text("".join(f"{line}\n" for line in constraints))
        argv = ["uv", "pip", "compile", str(requirements), "--constraint", str(pinned), "--generate-hashes",
                "--no-build", "--no-header", "--no-annotate", "--quiet", "--no-emit-package", own,
                "--python", str(interpreter.executable),
                "--exclude-newer", f"{cutoff.isoformat()}T00:00:00Z"]  # fmt: skip
        if index_url:
            argv += ["--index-url", index_url]
        return run(argv, cwd=Path(folder), env={"UV_NO_CONFIG": "1", "NO_COLOR": "1"}).decode()


def _unsatisfiable(error: CommandFailed) -> bool:
    return "No solution found" in error.stderr or "unsatisfiable" in error.stderr or "Because" in error.stderr


def _essence(stderr: str) -> str:
    """The sentence of a resolver's message that says why, in one line of at most 300 characters."""
    text = _flat(stderr)
    because = re.search(r"Because .*?(?:, we can conclude|\. |$)", text)
    chosen = because.group(0).removesuffix(", we can conclude") if because else text
    return chosen[:300] or "the resolver said nothing"


def _flat(stderr: str) -> str:
    return " ".join(re.sub(r"[×╰─▶│├╭]", " ", stderr).split())
