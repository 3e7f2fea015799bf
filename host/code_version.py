"""The version of the code on this machine: the package's version and a hash of what it is made of.

Two machines with one version run the same code. Deployments bear it, and a worker with another one takes no runs.
"""

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_ROOMS = (
    "models", "host", "store", "llm", "repos", "agent", "runtime", "harness", "evals", "training", "exchange", "tasks",
    "flows", "cli",
)  # fmt: skip
_KINDS = (".py", ".jinja")
_DEPLOYMENTS = ("flows/prefect.yaml", "prefect.yaml")
"""Where the list of deployments lies: in an installed wheel, and in a checkout."""
_DIGITS = 10


def code_version(root: Path = _ROOT) -> str:
    """The package's version and a short hash over its Python files, prompt templates and list of deployments, as in
    0.1.0+3f2a9c01d4.

    The files are read anew at each call (some 10 ms), so a process notices that its code was replaced on disk.
    """
    digest = hashlib.sha256(deployments_file(root).read_bytes())
    for room in _ROOMS:
        for path in sorted((root / room).rglob("*")):
            if path.suffix in _KINDS:
                content = hashlib.sha256(path.read_bytes()).hexdigest()
                digest.update(f"{path.relative_to(root).as_posix()} {content}\n".encode())
    return f"{_released()}+{digest.hexdigest()[:_DIGITS]}"


def deployments_file(root: Path = _ROOT) -> Path:
    """The file with the list of deployments."""
    return next((root / name for name in _DEPLOYMENTS if (root / name).is_file()), root / _DEPLOYMENTS[-1])


def is_code_version(text: str | None) -> bool:
    """Whether a text has the form of `code_version`; versions that others gave to a deployment have not."""
    _, plus, digits = (text or "").partition("+")
    return bool(plus) and len(digits) == _DIGITS and not set(digits) - set("0123456789abcdef")


def _released() -> str:
    try:
        return version("clean-room-agent")
    except PackageNotFoundError:  # run from files that were not installed
        return "0"
