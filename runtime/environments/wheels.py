"""Wheels that a lock needs, and downloading the missing ones."""

import re
import sys
import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from host.air_gap import AS_A_PACKAGE, refuse_network
from host.process import CommandFailed, run
from models.errors import EnvironmentFault, InfrastructureError
from models.manifest import Environment
from runtime.environments.interpreters import Interpreter
from runtime.environments.wheel_checks import check_together, check_wheel, known_sha256

_ENTRY = re.compile(
    r"([A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?)==([A-Za-z0-9.!+_-]{1,100})((?: --hash=sha256:[0-9a-f]{64})*)"
)
_MOST_ENTRIES = 5000


def locked(lock_text: str) -> dict[tuple[str, Version], frozenset[str]]:
    """SHA-256 hashes by (name, version) of a hash-pinned requirements text.

    Raises EnvironmentFault for anything else in it (an option, a URL, a marker), for a line without hashes, and for a
    name that is pinned twice.
    """
    found: dict[tuple[str, Version], frozenset[str]] = {}
    names: set[str] = set()
    lines = re.sub(r"[ \t]*\\\n[ \t]*", " ", lock_text).split("\n")
    for line in filter(None, (one.strip(" ") for one in lines[: _MOST_ENTRIES + 1])):
        name, version, hashes = _entry(line)
        if name in names:
            raise EnvironmentFault(f"the lock pins {name} twice; make the lock again")
        names.add(name)
        if not hashes:
            raise EnvironmentFault(f"the lock gives no hash for {name}=={version}; make the lock again")
        found[name, version] = hashes
    if len(lines) > _MOST_ENTRIES:
        raise EnvironmentFault(f"the lock has more than {_MOST_ENTRIES} lines; make the lock again")
    return found


def _entry(line: str) -> tuple[str, Version, frozenset[str]]:
    """Name, version and hashes of a pinned requirement."""
    match = _ENTRY.fullmatch(re.sub(r"[ \t]+", " ", line))
    try:
        if match is None:
            raise InvalidVersion
        name, version, hashes = match.groups()
        return canonicalize_name(name), Version(version), frozenset(re.findall(r"[0-9a-f]{64}", hashes))
    except ValueError as error:
        raise EnvironmentFault(f"the lock holds {line[:80]!a}, which pins no release; make the lock again") from error


def fetch_wheels(environment: Environment, interpreter: Interpreter, packages: Path) -> dict[str, str]:
    """File name -> SHA-256 of the wheels that a lock needs. Only those missing from `packages` are downloaded.

    Raises EnvironmentFault if a locked version has no wheel for the interpreter, WheelError for a wheel that
    fails `check_wheel`, AirGapError for a download in air-gapped mode, InfrastructureError if the index does not
    answer.
    """
    packages.mkdir(parents=True, exist_ok=True)
    wanted = locked(environment.lock)
    have = select_wheels(wanted, interpreter, packages)
    missing = [key for key in wanted if key not in have]
    if missing:
        _download(missing, wanted, interpreter, packages)
        have = select_wheels(wanted, interpreter, packages)
        for name, version in wanted:
            if (name, version) not in have:
                raise EnvironmentFault(f"{name}=={version} has no wheel for {interpreter.abi} on this platform")
    wheels = {path.name: digest for path, digest in have.values()}
    for path, digest in have.values():
        check_wheel(path, digest)
    check_together(dict(have.values()))
    return dict(sorted(wheels.items()))


def select_wheels(
    wanted: dict[tuple[str, Version], frozenset[str]],
    interpreter: Interpreter,
    packages: Path,
    named: Collection[str] = (),
) -> dict[tuple[str, Version], tuple[Path, str]]:
    """The best compatible wheel in a folder for each locked version, with its hash, which the lock allows.

    Where wheels are `named`, no others are chosen, whatever else is in the folder.
    """
    order = {tag: rank for rank, tag in enumerate(tags_of(interpreter.version, interpreter.abi))}
    best: dict[tuple[str, Version], tuple[int, Path, str]] = {}
    for path in sorted(packages.glob("*.whl")):
        if named and path.name not in named:
            continue
        try:
            name, version, _, tags = parse_wheel_filename(path.name)
        except InvalidWheelFilename:
            continue
        key = canonicalize_name(name), version
        rank = min((order[tag] for tag in tags if tag in order), default=None)
        if key not in wanted or rank is None or (key in best and best[key][0] <= rank):
            continue
        digest = known_sha256(path)
        if digest in wanted[key]:
            best[key] = (rank, path, digest)
    return {key: (path, digest) for key, (_, path, digest) in best.items()}


def tags_of(python: str, abi: str) -> Iterable[Tag]:
    """The tags of wheels that a CPython ("3.12", "cp312") takes on this machine, the best first."""
    version = tuple(map(int, python.split(".")))
    yield from cpython_tags(version, abis=[abi])
    yield from compatible_tags(version, abi)


def _download(
    missing: list[tuple[str, Version]],
    wanted: dict[tuple[str, Version], frozenset[str]],
    interpreter: Interpreter,
    packages: Path,
) -> None:
    names = ", ".join(f"{name}=={version}" for name, version in missing[:3])
    refuse_network(f"downloading {len(missing)} wheels ({names}{', ...' * (len(missing) > 3)})", AS_A_PACKAGE)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=packages) as folder:
        requirements = Path(folder, "requirements.txt")
        requirements.write_text(
            "".join(
                f"{name}=={version} {' '.join(f'--hash=sha256:{h}' for h in sorted(wanted[name, version]))}\n"
                for name, version in missing
            )
        )
        # pip gets the target as an option instead of running in it: the target may be older than pip supports.
        argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input",
                "--disable-pip-version-check",
                "--only-binary", ":all:", "--require-hashes", "--no-deps", "--implementation", "cp",
                "--python-version", interpreter.full, "--abi", interpreter.abi, "--dest", folder,
                "--requirement", str(requirements)]  # fmt: skip
        try:
            run(argv, timeout=1800, env={"PIP_CONSTRAINT": ""})
        except CommandFailed as error:
            raise _explained(error) from error
        for path in sorted(Path(folder).glob("*.whl")):
            path.replace(packages / path.name)


def _explained(error: CommandFailed) -> EnvironmentFault | InfrastructureError:
    if "No space left on device" in error.stderr:
        return InfrastructureError("the disk is full: wheels cannot be stored; free some space and run it again")
    lines = [line for line in error.stderr.splitlines() if line.startswith("ERROR:")]
    reason = lines[-1].removeprefix("ERROR: ") if lines else str(error)
    if "No matching distribution" in error.stderr and "retries" not in error.stderr.lower():
        return EnvironmentFault(f"a wheel cannot be had: {reason}")
    if "DO NOT MATCH THE HASHES" in error.stderr:
        return EnvironmentFault("a downloaded wheel has another hash than the lock; do not use this index")
    return InfrastructureError(f"wheels cannot be downloaded: {reason}")
