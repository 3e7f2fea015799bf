"""Hostile packages that are taken in, one by one: whether any got in, why not, and what each cost.

    uv run python -m benchmarks.hostile_intake PACKAGE [--only TEXT] [--json FILE]

PACKAGE is an honest repo package with valid instances, such as the one of `cra demo --dir`. Each hostile one is made
from a copy of it and taken in by a process of its own, with limits of 20 s and 1 GiB for a run of tests. Exits with 1
if a package got in, was refused for another reason than its own, or left a file anywhere but in the ledger.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from exchange.intake.batch import ingest
from exchange.intake.ledger import IntakeFolders, read_events
from host.settings import load_settings
from host.throwaway import throwaway
from models.intake import IntakeEvent, IntakeVerdict
from models.settings import Settings
from tasks.intake import open_intake
from tests.support.hostile_base import Hostile
from tests.support.hostile_packages import PACKAGES

_EXPECTED = ("curated.sqlite", "raw.sqlite", "intake/")


def take_in(hostile: Hostile, honest: Path, scratch: Path, cache: Path) -> dict[str, object]:
    """What came of one hostile package: verdict, reason, files outside, seconds and MiB of the process that took it."""
    medium, aside = scratch / "medium", scratch / "aside"
    aside.mkdir()
    package = Path(shutil.copytree(honest, medium / "evil"))
    hostile.craft(package, aside)
    settings = load_settings().model_copy(
        update={
            "data_dir": scratch / "data",
            "cache_dir": cache,
            "limits": load_settings().limits.model_copy(update={"wall_seconds": 20.0, "memory_bytes": 1 << 30}),
        }
    )
    before = _outside(scratch, cache)
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        _in_child(settings, medium)
    _, status, used = os.wait4(child, 0)
    events = read_events(IntakeFolders.of(settings))
    event = events[-1] if events else None
    left = sorted(_outside(scratch, cache) - before)
    quarantined = [str(path) for path in (settings.data_dir / "intake" / "quarantine").glob("[!.]*")]
    return {
        "kind": hostile.kind,
        "name": hostile.name,
        "in": event is None or event.verdict is not IntakeVerdict.REFUSED or _in_corpus(settings),
        "reason": event.reason.value if event is not None and event.reason is not None else f"exit {status}",
        "expected": event is not None and event.reason in hostile.reasons,
        "detail": event.detail if event is not None else "",
        "outside": [*left, *quarantined],
        "seconds": round(time.monotonic() - started, 2),
        "mib": used.ru_maxrss // 1024,
    }


def _in_child(settings: Settings, medium: Path) -> None:
    """Take in a medium and end this process."""
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    context = open_intake(settings, lambda stage: None, lambda what, done, total: None)
    events: list[IntakeEvent] = ingest(context, medium, lambda process: None)
    os._exit(0 if events else 3)


def _outside(scratch: Path, cache: Path) -> set[str]:
    """Files that an intake has no reason to write: those but its ledger and databases, and but caches."""
    found = set()
    for root in (scratch / "data", Path(tempfile.gettempdir()), Path("/tmp")):
        for folder, _, files in os.walk(root):
            if root != scratch / "data" and Path(folder) != root:
                break
            for name in files:
                path = (Path(folder) / name).relative_to(root).as_posix()
                if root != scratch / "data" or not path.startswith(_EXPECTED):
                    found.add(f"{root}/{path}")
    return found


def _in_corpus(settings: Settings) -> bool:
    return settings.corpus.exists() and any(settings.corpus.iterdir())


def main() -> int:
    """Take them all in and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path)
    parser.add_argument("--only", action="append", help="kinds and names that contain this text; repeatable")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    with throwaway("cra-hostile-") as root:
        for number, hostile in enumerate(PACKAGES):
            named = f"{hostile.kind} {hostile.name}"
            if options.only and not any(text in named for text in options.only):
                continue
            if hostile.as_root and os.geteuid() != 0:
                continue
            scratch = root / str(number)
            scratch.mkdir()
            rows.append(take_in(hostile, options.package.resolve(), scratch, root / "cache"))
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
            shutil.rmtree(scratch, ignore_errors=True)
    table = Table("kind", "package", "in", "reason", "outside", "s", "MiB")
    for row in rows:
        mark = "" if row["expected"] else " (another was expected)"
        outside = len(row["outside"])  # type: ignore[arg-type]
        table.add_row(
            str(row["kind"]), str(row["name"]), "IN" if row["in"] else "", f"{row['reason']}{mark}",
            str(outside), str(row["seconds"]), str(row["mib"]),
        )  # fmt: skip
    Console().print(table)
    got_in = sum(bool(row["in"]) for row in rows)
    strange = sum(not row["expected"] for row in rows)
    left = sum(len(row["outside"]) for row in rows)  # type: ignore[arg-type,misc]
    kinds = len({row["kind"] for row in rows})
    longest, largest = max(float(str(r["seconds"])) for r in rows), max(int(str(r["mib"])) for r in rows)
    print(
        f"{len(rows)} packages of {kinds} kinds: {got_in} in, {strange} refused for another reason, "
        f"{left} files outside quarantine, at most {longest:.1f} s and {largest} MiB"
    )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")
    return int(bool(got_in or strange or left))


if __name__ == "__main__":
    sys.exit(main())
