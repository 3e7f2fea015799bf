"""Whether `cra datasets import` runs in flat memory, and how many rows it reads in a minute of a core.

    uv run python -m benchmarks.open_datasets [ROWS...]

Files of synthetic rows (100,000 and 1,000,000 unless said otherwise) in the schema of OpenCodeInstruct, as Parquet and
as JSON lines, of which one row in ten is kept, about as many as of the real set; and a tenth of the fewest rows in the
schemas of the other datasets, all kept. Each import is a process of its own, and so is each writing of a file, since
a process starts with the peak of its parent. The largest peak may be at most 1.25 times that of the fewest rows.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from tests.support.dataset_rows import CODE, MAKERS, Row

MOST_GROWTH = 1.25
WRITE = "write"
_GROUP = 1000


def rows_of(name: str, count: int) -> Iterator[Row]:
    """Rows with programs of their own, of about 2 KB; one in ten of OpenCodeInstruct passes its tests."""
    make = MAKERS[name]
    program = next((key for key, value in make().items() if CODE in str(value) and key != "code"), None)
    for number in range(count):
        changed = {"average_test_score": "0.8"} if name == "open-code-instruct" and number % 10 else {}
        row = make(number, **changed)
        if program is not None:
            noise = random.Random(number).randbytes(750).hex()
            lines = (f"# {noise[start : start + 50]}\n" for start in range(0, len(noise), 50))
            row[program] = row[program].replace(CODE, CODE + "".join(lines))
        yield row


def write(path: Path, name: str, count: int) -> None:
    """Write rows in the format of a file's name, a part of them in memory at a time."""
    if path.suffix == ".jsonl":
        with path.open("w") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows_of(name, count))
        return
    import pyarrow
    from pyarrow import parquet

    rows = rows_of(name, count)
    table = pyarrow.Table.from_pylist(list(islice(rows, _GROUP)))
    with parquet.ParquetWriter(path, table.schema) as writer:
        writer.write_table(table)
        while part := list(islice(rows, _GROUP)):
            writer.write_table(pyarrow.Table.from_pylist(part, schema=table.schema))


def imported(path: Path, name: str, folder: Path) -> tuple[float, float, dict[str, int]]:
    """CPU seconds, peak memory in MiB, and the counts of an import in a process of its own."""
    code = "import sys; sys.argv[0] = 'cra'\nfrom cli.main import main\nmain()"
    command = [
        sys.executable,
        "-c",
        code,
        "datasets",
        "import",
        name,
        "--from",
        str(path),
        "--accept-licence",
        "--json",
    ]
    out = folder / "out.json"
    with out.open("w") as stdout:
        process = subprocess.Popen(command, stdout=stdout, env={**os.environ, "CRA_DATA_DIR": str(folder / "data")})
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{name}: the import ended with {os.waitstatus_to_exitcode(status)}")
    card = json.loads(out.read_text())
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, {"rows": card["offered"], "kept": card["pairs"]}


def measure(name: str, form: str, count: int) -> float:
    """Print a line of figures; the peak of memory in MiB."""
    with tempfile.TemporaryDirectory(prefix="datasets-") as scratch:
        folder = Path(scratch)
        path = folder / f"rows.{form}"
        subprocess.run([sys.executable, "-m", __spec__.name, WRITE, str(path), name, str(count)], check=True)
        seconds, peak, counts = imported(path, name, folder)
        size = path.stat().st_size / 1024**2
    rate = counts["rows"] / seconds * 60
    print(
        f"| {name} | {form} | {counts['rows']:,} | {counts['kept']:,} | {size:,.0f} | {peak:,.0f} | {rate:,.0f} |",
        flush=True,
    )
    return peak


def main(counts: list[int]) -> int:
    """Print the table; 1 if memory grows with the rows."""
    print("| dataset | format | rows | kept | file, MiB | peak memory, MiB | rows per minute of a core |")
    print("|---|---|---|---|---|---|---|")
    grown = 1.0
    for form in ("parquet", "jsonl"):
        peaks = [measure("open-code-instruct", form, count) for count in counts]
        grown = max(grown, max(peaks) / peaks[0])
    for name in MAKERS:
        if name not in ("open-code-instruct", "swe-bench"):
            measure(name, "parquet", max(1, counts[0] // 10))
    print(f"peak memory grows by at most {grown:.2f}x (limit {MOST_GROWTH}x)")
    return int(grown > MOST_GROWTH)


if __name__ == "__main__":
    if sys.argv[1:2] == [WRITE]:
        write(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
        raise SystemExit
    raise SystemExit(main([int(argument) for argument in sys.argv[1:]] or [100_000, 1_000_000]))
