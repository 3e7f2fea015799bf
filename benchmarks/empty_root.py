"""What the installation of a bundle takes on a machine with Python, git and a shell alone, without a network or root.

    uv run python benchmarks/empty_root.py BUNDLE --home DIR [--package NAME] [--limit N]
        [--library NAME]... [--python PREFIX]... [--json]

The machine is a root of the files and libraries of these programs (tests/support/empty_root.py); DIR, which must be
new, is what lasts of it. Rows: seconds to check (`--dry-run`), to install, to install again, of `cra --version`, of
`cra doctor`, and of a campaign of gold and null over a package of the bundle's corpus; then MiB on disk, and what came
of the campaign. `--library libgomp.so.1` adds what the extra `local` takes from the system, `--python PREFIX` another
Python, which the package may need. Where root runs this, the bundle's files are given to the ordinary user that
installs it.
"""

import argparse
import json
import time
from pathlib import Path

from tests.support.empty_root import empty_root, run_empty

PREFIX = "/home/operator/cra"


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--package")
    parser.add_argument("--limit", type=int, default=2)
    parser.add_argument("--python", type=Path, action="append", default=[])
    parser.add_argument("--library", action="append", default=[])
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    given.home.mkdir(parents=True)
    bundle = given.bundle.resolve()
    root = empty_root(given.home.resolve(), [bundle], libraries=given.library, pythons=given.python)
    installer = ["python3", "-I", f"/media/{bundle.name}/install.py", "--prefix", PREFIX]
    cra = f"{PREFIX}/bin/cra"
    steps = {
        "check": [*installer, "--dry-run"],
        "install": installer,
        "again": installer,
        "version": [cra, "--version"],
        "doctor": ["sh", "-c", f"{cra} doctor || true"],
    }
    if given.package:
        steps["campaign"] = [cra, "campaign", f"{PREFIX}/data/corpus/{given.package}", "--planner", "gold", "--planner",
                             "null", "--limit", str(given.limit), "--name", "first"]  # fmt: skip
    seconds = {name: timed(root, argv) for name, argv in steps.items()}
    figures: dict[str, object] = {"seconds": seconds, "mebibytes": sizes(given.home / "cra")}
    if given.package:
        report = json.loads(run_empty(root, cra, "report", "first", "--json").stdout)
        figures |= {name: report["planners"][name] for name in ("gold", "null")}
    if given.json:
        print(json.dumps(figures, indent=2))
        return
    for name, value in figures.items():
        rows = value.items() if isinstance(value, dict) else []
        print(f"{name:10} " + ", ".join(f"{key} {shown}" for key, shown in rows if isinstance(shown, int | float)))


def timed(root: list[str], argv: list[str]) -> float:
    """Seconds that a command takes in the root; it has to succeed."""
    begun = time.perf_counter()
    run_empty(root, *argv, seconds=7200.0)
    return round(time.perf_counter() - begun, 1)


def sizes(prefix: Path) -> dict[str, float]:
    """MiB of each folder of the version in use, and of the data."""
    version = prefix / (prefix / "current").readlink()
    folders = [folder for folder in (*version.iterdir(), prefix / "data", prefix / "cache") if folder.is_dir()]
    return {folder.name: round(sum(f.lstat().st_size for f in folder.rglob("*")) / 2**20, 1) for folder in folders}


if __name__ == "__main__":
    main()
