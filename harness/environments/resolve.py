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
    return _hash([_KEY_SCHEMA, project.name, requires, project.constraints, interpreter.abi])


def environment_key(requires: tuple[str, ...], lock_text: str, abi: str) -> str:
    """What an environment contains, hashed; the order of the requirements does not matter."""
    return _hash([_KEY_SCHEMA, sorted(requires), lock_text, abi])


def _hash(parts: list[object]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]


def lock(project: Project, interpreter: Interpreter, cutoff: date, index_url: str | None = None) -> Environment:
    """Resolve a project's requirements among releases uploaded before `cutoff` (00:00 UTC), own distribution
    excluded.

    The repository's own pins hold if they can; if they cannot, only those of direct requirements, then none.
    The result names no wheels yet: `fetch_wheels` does. Raises EnvironmentFault with the resolver's reason if
    there is no solution, InfrastructureError if the index does not answer.
    """
    requires = applicable(project, interpreter)
    direct = {re.split(r"[^\w.-]", text, maxsplit=1)[0] for text in requires}
    some = tuple(pin for pin in project.constraints if pin.split("==")[0] in direct)
    failure: CommandFailed | None = None
    for constraints in dict.fromkeys((project.constraints, some, ())):
        try:
            text = _compile(project.name, requires, interpreter, cutoff, constraints, index_url)
        except CommandFailed as error:
            failure = error
            if not _unsatisfiable(error):
                raise InfrastructureError(f"cannot resolve {project.name}: {_essence(error.stderr)}") from error
        else:
            key = environment_key(requires, text, interpreter.abi)
            return Environment(
                key=key,
                python=interpreter.version,
                abi=interpreter.abi,
                requires=requires,
                cutoff=cutoff.isoformat(),
                lock=text,
                wheels=(),
            )
    assert failure is not None
    raise EnvironmentFault(
        f"requirements of {project.name} cannot be resolved: {_essence(failure.stderr)}"
    ) from failure


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
    text = " ".join(re.sub(r"[×╰─▶│├╭]", " ", stderr).split())
    because = re.search(r"Because .*?(?:, we can conclude|\. |$)", text)
    chosen = because.group(0).removesuffix(", we can conclude") if because else text
    return chosen[:300] or "the resolver said nothing"
