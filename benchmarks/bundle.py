"""How large a bundle is, and how long it takes to make and verify: whole, once more, and as a differential.

    uv run python benchmarks/bundle.py --out DIR [--extra NAME]... [--parts SIZE] [--with-python] [--json]

The data directory is that of the settings (`CRA_DATA_DIR`), the checkout this one. `--out` gets the bundles. Columns:
files, bytes of chunks in the bundle, parts, seconds to make (wheels that were fetched before come from pip's cache)
and to verify, MB/s of the verification. `same` is whether a second bundle of the same inputs has the same id.
"""

import argparse
import json
import time
from pathlib import Path
from typing import NamedTuple

from cli.bundle import parse_size
from exchange.bundle.make import BundleOrder, make_bundle
from exchange.bundle.verify import verify_bundle
from exchange.bundle.wheels import EXTRAS
from host.settings import load_settings


class Row(NamedTuple):
    """A bundle: bytes of its chunks, bytes that its verification read, seconds."""

    name: str
    id: str
    files: int
    bytes: int
    parts: int
    read: int
    make: float
    verify: float


def quiet(what: str, done: int, total: int) -> None:
    """A listener that says nothing."""


def measured(name: str, order: BundleOrder) -> Row:
    """Make a bundle and verify it."""
    started = time.perf_counter()
    made = make_bundle(load_settings(), order, quiet)
    between = time.perf_counter()
    found = verify_bundle(order.out, quiet, base=order.since)
    ended = time.perf_counter()
    manifest = made.manifest
    sizes = len(manifest.files), made.bytes, len(manifest.parts), found.bytes
    return Row(name, manifest.id, *sizes, between - started, ended - between)


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--extra", action="append")
    parser.add_argument("--parts")
    parser.add_argument("--with-python", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    extras = EXTRAS if given.extra is None else tuple(name for name in given.extra if name != "none")
    limit = parse_size(given.parts)
    folder = given.out.absolute()

    def order(name: str, since: Path | None = None) -> BundleOrder:
        return BundleOrder(folder / name, limit, since, extras, given.with_python)

    folder.mkdir(parents=True, exist_ok=True)
    rows = [measured("whole", order("whole")), measured("again", order("again"))]
    rows.append(measured("differential", order("differential", folder / "whole")))
    same = rows[0].id == rows[1].id
    if given.json:
        print(json.dumps({"rows": [row._asdict() for row in rows], "same": same}, indent=2))
        return
    for row in rows:
        rate = row.read / row.verify / 1e6
        print(f"{row.name:13} {row.files:6} files {row.bytes / 2**20:9.1f} MiB {row.parts:3} parts "
              f"make {row.make:7.1f} s, verify {row.verify:6.1f} s ({rate:.0f} MB/s)")  # fmt: skip
    print(f"same: {same}")


if __name__ == "__main__":
    main()
