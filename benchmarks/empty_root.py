"""What it takes to carry a system over the air gap: seconds and sizes of a bundle, its installation on a machine with
Python, git and a shell alone, without a network or root, and the first work there.

    uv run python -m benchmarks.empty_root BUNDLE --home DIR [--extra NAME]... [--with-python] [--package NAME]...
        [--limit N] [--stick DIR] [--library NAME]... [--python PREFIX]... [--starter FILE] [--json]

BUNDLE is made of CRA_DATA_DIR with these extras where it is not there yet, and verified. The machine is a root of the
files and libraries of a few programs (tests/support/empty_root.py); DIR is what lasts of it, and must be new or one of
an earlier call. Steps there: `--dry-run` of the installer, the installation, the same again, `cra --version`,
`cra doctor`, `cra rehearse` with each `--package` of the bundle's corpus (`--limit` instances each), `cra ingest` of
the packages in the folder `--stick`, `cra ingest log`, and `cra operate --status` and `--plan-retention`. The first
step that ends with another code than 0 is the last; the end of what it said is printed after the figures, and the exit
code is 1. What each said is in DIR/STEP.log.

`--library libgomp.so.1` adds what the extra `local` takes from the system, `--python PREFIX` another Python, which a
package may need where it does not travel. `--starter FILE` is the Python that the machine has, if not this system's:
where it is of another version than the bundle's, that one has to travel (`--with-python`). Where root runs this, the
bundle's files, and those of the stick, are given to the ordinary user of that machine.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from exchange.bundle import layout
from tests.support.empty_root import SYSTEM_PYTHON, empty_root
from training.adapters.registry.signing import fingerprint

PREFIX = "/home/operator/cra"
CRA = f"{PREFIX}/bin/cra"
_SECONDS = 7200.0
_LINES = 40


def main() -> None:
    """Print a table, or JSON."""
    given = _given()
    given.home.mkdir(parents=True, exist_ok=True)
    figures: dict[str, object] = {"load before": os.getloadavg()[0], "cores": os.cpu_count()}
    seconds: dict[str, float] = {}
    said = ""
    for name, argv in _steps(given):
        begun = time.perf_counter()
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_SECONDS, check=False)
        seconds[name] = round(time.perf_counter() - begun, 1)
        print(f"{name}: {seconds[name]} s, exit code {done.returncode}", file=sys.stderr, flush=True)
        (given.home / f"{name.replace(' ', '-')}.log").write_text(done.stdout + done.stderr)
        if done.returncode:
            said = "\n".join([f"{name} ended with {done.returncode}:", *_last(done.stdout), *_last(done.stderr)])
            break
    figures |= {"load after": os.getloadavg()[0], "seconds": seconds, "mebibytes": sizes(given.bundle, given.home)}
    if (rehearsal := given.home / "cra" / "data" / "rehearsal" / "rehearsal.json").is_file():
        report = json.loads(rehearsal.read_text())
        figures["rehearsal"] = {"operational": report["operational"], "missing": report["missing"]}
        figures["rehearsal, seconds"] = {step["step"]: round(step["seconds"], 1) for step in report["steps"]}
    _print(figures, as_json=given.json)
    if said:
        sys.exit(said)


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--extra", action="append", default=[])
    parser.add_argument("--with-python", action="store_true")
    parser.add_argument("--package", action="append", default=[])
    parser.add_argument("--limit", type=int)
    parser.add_argument("--stick", type=Path)
    parser.add_argument("--python", type=Path, action="append", default=[])
    parser.add_argument("--starter", type=Path, default=SYSTEM_PYTHON)
    parser.add_argument("--library", action="append", default=[])
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _steps(given: argparse.Namespace) -> Iterator[tuple[str, list[str]]]:
    """Each step's name and command; the root is made when the bundle is there."""
    here = [str(Path(sys.executable).with_name("cra"))]
    bundle = given.bundle.resolve()
    if not bundle.exists():
        extras = [word for name in given.extra for word in ("--extra", name)]
        pythons = ["--with-python"] if given.with_python else []
        yield "make", [*here, "bundle", "make", "--out", str(bundle), *extras, *pythons]
    yield "verify", [*here, "bundle", "verify", str(bundle)]
    media = [bundle, *([given.stick.resolve()] if given.stick else [])]
    root = empty_root(given.home.resolve(), media, given.starter, given.library, given.python)
    installer = ["python3", "-I", f"/media/{bundle.name}/install.py", "--prefix", PREFIX]
    installer += ["--fingerprint", fingerprint(bundle / layout.MANIFEST / layout.KEY)]
    yield "check", [*root, *installer, "--dry-run"]
    yield "install", [*root, *installer]
    yield "install again", [*root, *installer]
    yield "version", [*root, CRA, "--version"]
    yield "doctor", [*root, CRA, "doctor"]
    if given.package:
        packages = [word for name in given.package for word in ("--packages", f"{PREFIX}/data/corpus/{name}")]
        limit = ["--limit", str(given.limit)] if given.limit else []
        yield "rehearse", [*root, CRA, "rehearse", *packages, *limit]
    if given.stick:
        yield "ingest", [*root, CRA, "ingest", f"/media/{given.stick.resolve().name}"]
        yield "ingest log", [*root, CRA, "ingest", "log"]
    yield "status", [*root, CRA, "operate", "--status"]
    yield "plan retention", [*root, CRA, "operate", "--plan-retention"]


def sizes(bundle: Path, home: Path) -> dict[str, float]:
    """MiB of the bundle, of each folder of the version in use, and of data and cache, as far as they are there."""
    prefix = home / "cra"
    folders = {"bundle": bundle, "data": prefix / "data", "cache": prefix / "cache"}
    if (current := prefix / "current").is_symlink():
        version = prefix / current.readlink()
        folders |= {folder.name: folder for folder in version.iterdir() if folder.is_dir()}
    return {name: _mebibytes(folder) for name, folder in folders.items() if folder.is_dir()}


def _mebibytes(folder: Path) -> float:
    return round(sum(file.lstat().st_size for file in folder.rglob("*")) / 2**20, 1)


def _last(text: str) -> list[str]:
    return text.splitlines()[-_LINES:]


def _print(figures: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(figures, indent=2))
        return
    for name, value in figures.items():
        rows = value.items() if isinstance(value, dict) else [("", value)]
        print(f"{name:20} " + ", ".join(f"{key} {shown}".strip() for key, shown in rows))


if __name__ == "__main__":
    main()
