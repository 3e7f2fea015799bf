"""Environments from cached wheels, against two other ways to have them: their time, and their place on disk.

    uv run python benchmarks/environments.py PACKAGE... [--repeats 3] [--json FILE]

PACKAGEs are repo packages. For each environment that an instance uses: `warm` is ours, made again after removal with
uv's cache and the bytecode there; `kept` is ours while it is in the store, which is what all runs of a campaign but the
first see. `venv + pip` makes the same by `python -m venv` and `pip install --no-index`, which compiles bytecode.
`unpacked` is the way of the nearest system without containers: a compressed archive of such an environment for each
version of each repository, unpacked for each run.

The disk that is kept are the wheels of the package for us, those for builds included, the archives for the other. The
disk in use are all our environments, those for builds included, which share files by hard links and are shared by all
runs, and one unpacked environment for each version.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from harness.packages.package import RepoPackage, read_package
from models.manifest import Environment
from runtime.environments import EnvironmentStore, interpreter_for

TARGET_DISK, TARGET_SET_UP, TARGET_PIP = 0.1, 0.2, 20.0


@dataclass
class Figures:
    """Medians (seconds) by environment, and bytes, of one package. `versions` counts pairs of environment and version,
    each of which has an archive of its own."""

    name: str
    instances: int = 0
    versions: int = 0
    environments: int = 0
    wheels: int = 0
    warm: list[float] = field(default_factory=list)
    kept: list[float] = field(default_factory=list)
    pip: list[float] = field(default_factory=list)
    unpacked: list[float] = field(default_factory=list)
    wheel_bytes: int = 0
    store_bytes: int = 0
    archive_bytes: int = 0
    unpacked_bytes: int = 0

    def line(self) -> str:
        """A row of the table."""
        warm, kept, pip, unpacked = (statistics.median(t) for t in (self.warm, self.kept, self.pip, self.unpacked))
        disk, used = self.wheel_bytes / self.archive_bytes, self.store_bytes / self.unpacked_bytes
        return (
            f"| {self.name} | {self.instances} | {self.environments} | {self.versions} | {warm:.3f} s | "
            f"{kept * 1000:.1f} ms | {pip:.2f} s | {pip / warm:.0f}x | {unpacked:.3f} s | {warm / unpacked:.2f} | "
            f"{kept / unpacked:.3f} | {megabytes(self.wheel_bytes)} | {megabytes(self.archive_bytes)} | {disk:.2f} | "
            f"{megabytes(self.store_bytes)} | {megabytes(self.unpacked_bytes)} | {used:.2f} |"
        )


HEADER = (
    "| package | instances | environments | versions | warm | kept | venv + pip | against warm | unpacked | "
    "warm against unpacked | kept against unpacked | wheels | archives | ratio | store | unpacked | ratio |\n"
    + "|---" * 17
    + "|"
)


def megabytes(count: int) -> str:
    """A number of bytes for people."""
    return f"{count / 1e6:.1f} MB"


def timed(work: Callable[[], None]) -> float:
    """Wall seconds of a call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def apparent(root: Path) -> int:
    """Bytes of the files under a folder; hard links of one file count once."""
    found = {(s.st_dev, s.st_ino): s.st_size for s in (p.lstat() for p in root.rglob("*")) if not s.st_mode & 0o040000}
    return sum(found.values())


def by_pip(environment: Environment, packages: Path, scratch: Path, venv: Path) -> None:
    """Make an environment by `venv` and pip, offline."""
    shutil.rmtree(venv, ignore_errors=True)
    requirements = scratch / "requirements.txt"
    requirements.write_text(environment.lock)
    subprocess.run([interpreter_for(environment.abi).executable, "-m", "venv", venv], check=True)
    pip: list[str | Path] = [venv / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    options: list[str | Path] = ["--find-links", packages, "--require-hashes", "--no-deps", "-r", requirements]
    subprocess.run([*pip, *options], check=True)


def measure(package: RepoPackage, environment: Environment, repeats: int, scratch: Path, found: Figures) -> None:
    """Add the times of one environment, and the size of its archive and what that unpacks to."""
    store = EnvironmentStore(scratch / "store", 1 << 40)
    venv, archive, fresh = scratch / "venv", scratch / "venv.tar.gz", scratch / "fresh"
    keys: list[str] = []

    def ours() -> None:
        with store.acquire(environment, package.wheels) as built:
            keys.append(built.key)

    def unpack() -> None:
        subprocess.run(["tar", "-xzf", archive, "-C", fresh], check=True)

    ours()
    for _ in range(repeats):  # in turns, so that a busy machine slows all of them
        found.kept.append(timed(ours))
        store.remove(keys[-1])
        found.warm.append(timed(ours))
        found.pip.append(timed(lambda: by_pip(environment, package.wheels, scratch, venv)))
        if not archive.exists():
            subprocess.run(["tar", "-czf", archive, "-C", scratch, "venv"], check=True)
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        found.unpacked.append(timed(unpack))
    versions = {i.version for i in package.manifest.instances if i.environment == environment.key}
    found.versions += len(versions)
    found.archive_bytes += len(versions) * archive.stat().st_size
    found.unpacked_bytes += len(versions) * apparent(fresh)
    archive.unlink()


def figures(package: RepoPackage, repeats: int) -> Figures:
    """The figures of a package."""
    manifest = package.manifest
    used = {instance.environment for instance in manifest.instances}
    environments = [each for each in manifest.environments if each.key in used]
    builders = [each for each in manifest.environments if each.key not in used]
    found = Figures(manifest.name, sum(i.environment is not None for i in manifest.instances))
    wheels = {wheel for each in manifest.environments for wheel in each.wheels}
    found.environments, found.wheels = len(environments), len(wheels)
    found.wheel_bytes = sum((package.wheels / wheel).stat().st_size for wheel in wheels)
    with tempfile.TemporaryDirectory(prefix="cra-environments-") as folder:
        scratch = Path(folder)
        for environment in environments:
            measure(package, environment, repeats, scratch, found)
        store = EnvironmentStore(scratch / "store", 1 << 40)
        for builder in builders:
            with store.acquire(builder, package.wheels):
                pass
        found.store_bytes = apparent(scratch / "store" / "environments")
        subprocess.run(["chmod", "-R", "u+w", scratch], check=True)  # environments are read-only
    return found


def together(every: Iterable[Figures]) -> Figures:
    """The figures of all packages: times of all environments, bytes added up."""
    whole = Figures("all")
    for each in every:
        for name, value in asdict(each).items():
            if name != "name":
                setattr(whole, name, getattr(whole, name) + value)
    return whole


def main() -> int:
    """Exit status: 1 if a target is missed for all packages together."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="+", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    print(HEADER, flush=True)
    every = []
    for directory in options.packages:
        every.append(figures(read_package(directory), options.repeats))
        print(every[-1].line(), flush=True)
    whole = together(every)
    print(whole.line())
    disk = whole.wheel_bytes / whole.archive_bytes
    kept, warm, pip, unpacked = (statistics.median(t) for t in (whole.kept, whole.warm, whole.pip, whole.unpacked))
    targets = {
        f"disk kept {disk:.2f} of the archives' (target {TARGET_DISK})": disk <= TARGET_DISK,
        f"set-up {kept / unpacked:.3f} of unpacking (target {TARGET_SET_UP})": kept / unpacked <= TARGET_SET_UP,
        f"{pip / warm:.0f}x faster than venv + pip (target {TARGET_PIP:.0f}x)": pip / warm >= TARGET_PIP,
    }
    for what, met in targets.items():
        print(f"{'met' if met else 'MISSED'}: {what}")
    if options.json:
        options.json.write_text(json.dumps([asdict(each) for each in every], indent=2) + "\n")
    return int(not all(targets.values()))


if __name__ == "__main__":
    sys.exit(main())
