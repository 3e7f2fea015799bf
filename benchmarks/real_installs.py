"""Is what our sandbox gives a repository's tests what a real installation gives them?

    uv run python benchmarks/real_installs.py PACKAGE... [--instances 2] [--no-suite] [--json FILE]

For the newest instances of each package that have an environment, valid or not: a virtual environment with the locked
dependencies, and into it the wheel that `uv build` makes of the commit, with build requirements of the environment's
date and the last tag as the version. Compared are, inside both: the modules of the wheel that can be imported, the
files of the wheel that are found on the import path and their bytes, name, version, entry points and requirements as
`importlib.metadata` gives them, scripts on PATH, and the tests that pass. Printed: a line for each difference, and a
Markdown table by build back end.

The real suite runs outside the sandbox: use packages that you trust.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.repositories import back_end
from harness.packages.package import RepoPackage, read_package
from host.settings import load_settings
from models.manifest import Environment, Instance
from repos.git import Git
from runtime.environments import interpreter_for
from runtime.sandbox import Mount
from runtime.sandbox.base import base_environment
from runtime.testing import Selection, SuiteSetup, runner_of
from runtime.trees import BuildFailed, Provisioned, Runtime, checked_out, install, lay_over
from tasks.runtime import open_runtime

SHOWN = 5
PROGRAMS = Path(__file__).with_name("installed")
"""What runs inside both: the probe, and the plugin that records which tests pass."""


class Failed(Exception):
    """A step of the real installation failed."""


@dataclass
class Comparison:
    """What differs for one instance; `real_only` and `ours_only` are tests that pass in one only."""

    instance: str
    back_end: str
    fault: str = ""
    differences: list[str] = field(default_factory=list)
    modules: int = 0
    files: int = 0
    extensions: int = 0
    scripts: int = 0
    passed: int = 0
    real_only: list[str] = field(default_factory=list)
    ours_only: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not (self.fault or self.differences or self.real_only or self.ours_only)


def checked(argv: Sequence[str | Path], **options: Any) -> None:
    """Run a command. Raises Failed with the end of what it said."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options)
    if done.returncode:
        raise Failed(f"{' '.join(map(str, argv[:3]))}: {done.stdout.strip()[-300:]}")


@dataclass(frozen=True)
class Real:
    """A real installation: its folder, the wheel it was made of, and the tree of the commit with its history's tag."""

    folder: Path
    wheel: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "venv" / "bin" / "python"

    def variables(self) -> dict[str, str]:
        """The environment of its commands: the one of the sandbox, with its programs first on PATH."""
        plain = base_environment(self.folder, self.folder)
        return {**plain, "PATH": f"{self.python.parent}:{plain['PATH']}", "PYTHONDONTWRITEBYTECODE": "1"}


def really_installed(
    git: Git, instance: Instance, environment: Environment, wheels: Path, folder: Path, *, parent: bool = False
) -> Real:
    """Install a commit's own wheel, or its parent's with the commit's test files in the tree, beside its locked
    dependencies. Raises Failed."""
    tree, out, lock = folder / "tree", folder / "wheel", folder / "lock.txt"
    tree.mkdir(parents=True)
    git.export(instance.base_commit if parent else instance.commit, tree)
    for path in instance.test_files if parent else ():
        (tree / path).unlink(missing_ok=True)
        if (content := git.read(instance.commit, path)) is not None:
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_bytes(content)
    version = instance.version
    named = git.last_tag(instance.base_commit) or f"v{version}"
    for words in (["init", "-q"], ["add", "-Af"], ["commit", "-qm", "x", "--no-verify"], ["tag", named]):
        checked(["git", "-C", tree, "-c", "user.name=x", "-c", "user.email=x@example.org", *words])
    lock.write_text(environment.lock)
    python = interpreter_for(environment.abi).executable
    pins = (
        "SETUPTOOLS_SCM_PRETEND_VERSION",
        "PBR_VERSION",
        "PDM_BUILD_SCM_VERSION",
        "POETRY_DYNAMIC_VERSIONING_BYPASS",
    )
    plain = {**os.environ, **dict.fromkeys(pins, version), "UV_NO_CONFIG": "1"}
    venv = folder / "venv"
    checked(["uv", "venv", "--quiet", "--python", python, venv], env=plain)
    pip: list[str | Path] = [
        "uv",
        "pip",
        "install",
        "--quiet",
        "--python",
        venv / "bin" / "python",
        "--no-index",
        "--no-deps",
    ]
    checked([*pip, "--find-links", wheels, "--require-hashes", "-r", lock], env=plain)
    dated = ("--exclude-newer", f"{environment.cutoff}T00:00:00Z")
    build_wheel: list[str | Path] = ["uv", "build", "--quiet", "--wheel", "--python", python, "-o", out, tree]
    try:
        checked([*build_wheel, *dated], env=plain)
    except Failed:  # before some date, no release of setuptools meets the default requirement of PEP 517
        checked(build_wheel, env=plain)
    wheel = next(out.glob("*.whl"))
    checked([*pip, wheel], env=plain)
    return Real(folder, wheel)


def wanted_of(wheel: Path) -> dict[str, Any]:
    """What is to be found of a wheel: its distribution's name, modules, files and scripts."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        info = next(name.split("/")[0] for name in names if name.endswith(".dist-info/METADATA"))
        points = f"{info}/entry_points.txt"
        text = archive.read(points).decode() if points in names else ""
    files = [name for name in names if not name.split("/")[0].endswith((".dist-info", ".data"))]
    modules = [name.split(".")[0].removesuffix("/__init__").replace("/", ".") for name in files if importable(name)]
    scripts = [Path(name).name for name in names if ".data/scripts/" in name]
    section = ""
    for line in text.splitlines():
        section = line.strip() if line.startswith("[") else section
        if section in ("[console_scripts]", "[gui_scripts]") and "=" in line:
            scripts.append(line.partition("=")[0].strip())
    return {"name": info.split("-")[0], "modules": modules, "files": files, "scripts": sorted(set(scripts))}


def importable(path: str) -> bool:
    """Whether a file of a wheel is a module that may be imported without being run as a program or a test."""
    parts = Path(path).parts
    stem = parts[-1].split(".")[0]
    plain = all(part.isidentifier() for part in (*parts[:-1], stem))
    tests = any(part in ("test", "tests", "testing", "conftest") or part.startswith("test_") for part in (*parts, stem))
    return path.endswith((".py", ".so")) and plain and not tests and stem != "__main__"


@contextmanager
def ours(runtime: Runtime, git: Git, commit: str, provided: Provisioned) -> Iterator[tuple[Path, SuiteSetup]]:
    """The tree of a commit as its tests find it. Raises BuildFailed."""
    with checked_out(git, commit, runtime.scratch) as tree:
        yield tree, lay_over(runtime, tree, provided, install(runtime, tree, provided, of_commit=True))


def probed_ours(runtime: Runtime, tree: Path, setup: SuiteSetup, wanted: Path) -> dict[str, Any]:
    """What the probe finds in the sandbox."""
    sandbox = runtime.sandbox
    mount = Mount(wanted, wanted)
    here = sandbox.path_of(mount)
    plain = base_environment(Path("/"), Path("/"))["PATH"]
    variables = {
        "PYTHONPATH": os.pathsep.join(setup.import_path(sandbox.workdir_path(tree))),
        "PATH": os.pathsep.join([*map(str, setup.programs), str(setup.python.parent), plain]),
    }
    argv = [str(setup.python), str(here / "probe.py"), str(here / "wanted.json")]
    done = sandbox.run(argv, workdir=tree, mounts=(*setup.mounts, mount), env=variables, limits=runtime.limits)
    return read(done.output)


def probed_real(real: Real, wanted: Path) -> dict[str, Any]:
    """What the probe finds in the real installation."""
    argv = [str(path) for path in (real.python, wanted / "probe.py", wanted / "wanted.json")]
    done = subprocess.run(argv, cwd=wanted, env=real.variables(), capture_output=True, check=False)
    return read(done.stdout.decode(errors="replace"))


def read(output: str) -> dict[str, Any]:
    """The probe's findings. Raises Failed if it did not end."""
    _, mark, found = output.rpartition("\x1e")
    if not mark:
        raise Failed(f"the probe said {output.strip()[-200:]}")
    answer: dict[str, Any] = json.JSONDecoder().raw_decode(found)[0]
    return answer


def real_passes(real: Real, seconds: float, files: Sequence[str] = ()) -> set[str]:
    """The tests (of some files) that pass in the real installation. Raises Failed."""
    tree, report = real.folder / "tree", real.folder / "outcomes.json"
    variables = {**real.variables(), "PYTHONPATH": str(PROGRAMS), "OUTCOMES": str(report)}
    argv = [str(real.python), "-m", "pytest", "-q", "-p", "outcomes_plugin", "-p", "no:randomly"]
    argv += ["--continue-on-collection-errors", *(file for file in files if (tree / file).is_file())]
    done = subprocess.run(argv, cwd=tree, env=variables, capture_output=True, timeout=seconds, check=False)
    if not report.is_file():
        said = (done.stdout + done.stderr).decode(errors="replace").strip()
        raise Failed(f"the real suite did not end: {said[-300:]}")
    return set(json.loads(report.read_text()))


def compare(one: Mapping[str, Any], other: Mapping[str, Any], what: str) -> list[str]:
    """A line for each name of which the two findings differ."""
    return [
        f"{what} {name}: really {one.get(name)}, ours {other.get(name)}"
        for name in sorted({*one, *other})
        if one.get(name) != other.get(name)
    ]


def examine(runtime: Runtime, package: RepoPackage, instance: Instance, *, suite: bool) -> Comparison:
    """Compare one instance."""
    assert instance.environment is not None
    environment = package.manifest.environment(instance.environment)
    found = Comparison(instance.instance_id, back_end(package.git, instance.commit))
    folder = Path(tempfile.mkdtemp(prefix="cra-real-"))
    try:
        real = really_installed(package.git, instance, environment, package.wheels, folder)
        wanted = wanted_of(real.wheel)
        asked = folder / "asked"
        asked.mkdir()
        (asked / "wanted.json").write_text(json.dumps(wanted))
        shutil.copy(PROGRAMS / "probe.py", asked)
        found.modules, found.files, found.scripts = (len(wanted[name]) for name in ("modules", "files", "scripts"))
        found.extensions = sum(name.endswith(".so") for name in wanted["files"])
        with package.provisioned(runtime, instance) as provided:
            with ours(runtime, package.git, instance.commit, provided) as (tree, setup):
                mine, theirs = probed_ours(runtime, tree, setup, asked), probed_real(real, asked)
                for what in ("metadata", "scripts", "files", "modules"):
                    found.differences += compare(theirs[what], mine[what], what)
            if suite:
                with ours(runtime, package.git, instance.commit, provided) as (tree, setup):
                    report = runner_of(setup).run(runtime.sandbox, tree, setup, Selection(), runtime.limits)
                passed = real_passes(real, runtime.limits.wall_seconds)
                found.passed = len(passed)
                found.real_only, found.ours_only = sorted(passed - report.passed), sorted(report.passed - passed)
    except (Failed, BuildFailed, subprocess.TimeoutExpired) as error:
        found.fault = f"{type(error).__name__}: {error}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return found


def show(found: Comparison) -> None:
    """Print what differs."""
    print(f"{found.instance} ({found.back_end}): {'equal' if found.equal else found.fault or 'differs'}", flush=True)
    tests = [*(f"passes only really: {t}" for t in found.real_only), *(f"only ours: {t}" for t in found.ours_only)]
    for lines in (found.differences, tests):
        for line in lines[:SHOWN]:
            print(f"    {line[:400]}")
        if len(lines) > SHOWN:
            print(f"    ... and {len(lines) - SHOWN} more")


def markdown(results: Sequence[Comparison]) -> str:
    """The table by back end."""
    lines = ["| back end | instances | equal | modules | files | extension modules | scripts | differences | "
             "tests passing | only really | only ours | faults |", "|---" * 12 + "|"]  # fmt: skip
    groups: dict[str, list[Comparison]] = defaultdict(list)
    for each in results:
        groups[each.back_end].append(each)
        groups["all"].append(each)
    for name in sorted(groups, key=lambda name: (name == "all", name)):
        group = groups[name]
        cells = [
            len(group), sum(e.equal for e in group), sum(e.modules for e in group), sum(e.files for e in group),
            sum(e.extensions for e in group), sum(e.scripts for e in group), sum(len(e.differences) for e in group),
            sum(e.passed for e in group), sum(len(e.real_only) for e in group), sum(len(e.ours_only) for e in group),
            sum(bool(e.fault) for e in group),
        ]  # fmt: skip
        lines.append(f"| {name} | {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def main() -> int:
    """Exit status: 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="+", type=Path)
    parser.add_argument("--instances", type=int, default=2)
    parser.add_argument("--no-suite", dest="suite", action="store_false", help="do not run the tests")
    parser.add_argument("--json", type=Path, help="also write the comparisons to this file")
    options = parser.parse_args()
    runtime = open_runtime(load_settings())
    results = []
    for directory in options.packages:
        package = read_package(directory)
        for instance in [i for i in package.manifest.instances if i.environment][: options.instances]:
            results.append(examine(runtime, package, instance, suite=options.suite))
            show(results[-1])
    print(markdown(results))
    if options.json:
        options.json.write_text(json.dumps([asdict(each) for each in results], indent=2) + "\n")
    return int(any(not each.equal for each in results))


if __name__ == "__main__":
    sys.exit(main())
