"""What is a model's doubt about a log worth? Faults that it could see are planted, and it reads each log.

    uv run python benchmarks/audit_doubts.py CAMPAIGN --with ENDPOINT [--limit N] [--kinds "alter rung,..."] [--json]

Columns: the kind of fault; logs with it that fit the model's window; those with an answer that can be read; doubts
that cite the log; of them, those that cite a changed row (hits); doubts that cite nothing; logs with a hit. Precision
is hits by doubts over all logs with a fault. The first line is of logs as they are, where each doubt is a false
alarm. Answers are kept in the database of the settings: the same command asks nothing twice.
"""

import argparse
import json
from pathlib import Path
from typing import NamedTuple

from benchmarks.audit_faults import copied, database_file, planted_rows
from benchmarks.audit_plants import PLANTS, Plant
from harness.audit.doubts import ask_doubts
from harness.audit.record import AttemptLog
from host.settings import load_settings
from llm import Router, open_endpoint
from models.errors import PromptTooLong
from store.runs import RawStore, open_raw_store

VISIBLE = (
    "remove row", "alter answer", "flip judgement", "invent judgement", "alter rung", "alter adjustment",
    "alter counts", "swap answers",
)  # fmt: skip
"""Kinds that change a row as the model sees it."""


class Doubted(NamedTuple):
    """One kind of fault; see the columns above."""

    kind: str
    logs: int
    readable: int
    doubts: int
    hits: int
    dropped: int
    logs_hit: int


def main() -> None:
    """Plant, ask, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("campaign")
    parser.add_argument("--with", dest="endpoint", required=True)
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--kinds", default=",".join(VISIBLE))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    settings, source = load_settings(), database_file()
    router = open_endpoint(settings.models, options.endpoint)
    keep = open_raw_store(settings.raw_url)
    kinds: dict[str, Plant | None] = {"none": None}
    kinds |= {name: PLANTS[name] for name in map(str.strip, options.kinds.split(","))}
    results = []
    for name, plant in kinds.items():
        results.append(measure(source, options, name, plant, router, keep))
        print(shown(results[-1]), flush=True) if not options.json else None
    faulty = [each for each in results if each.kind != "none"]
    doubts, hits = sum(each.doubts for each in faulty), sum(each.hits for each in faulty)
    precision = hits / doubts if doubts else None
    if options.json:
        print(json.dumps({"kinds": [each._asdict() for each in results], "precision": precision}))
        return
    found, logs = sum(each.logs_hit for each in faulty), sum(each.logs for each in faulty)
    told = "no doubt cites the log" if precision is None else f"{hits} of {doubts} doubts cite a changed row"
    print(f"{told}; {found} of {logs} logs with a fault have such a doubt")


def measure(
    source: Path, options: argparse.Namespace, kind: str, plant: Plant | None, router: Router, keep: RawStore
) -> Doubted:
    """One kind of fault in each log, and what the model doubts in it."""
    counts = Doubted(kind, 0, 0, 0, 0, 0, 0)
    with copied(source) as store:
        for key, changed in planted_rows(store, options.campaign, plant, options.limit, options.seed).items():
            try:
                said = ask_doubts(AttemptLog(store, store.trace(key, prompts=True)), router, options.endpoint, keep)
            except PromptTooLong:
                continue
            hits = sum(bool(set(each.cites) & set(changed)) for each in said.findings)
            more = (1, not said.unreadable, len(said.findings), hits, said.dropped, hits > 0)
            counts = Doubted(kind, *(one + other for one, other in zip(counts[1:], more, strict=True)))
    return counts


def shown(each: Doubted) -> str:
    """A line of the table."""
    return "| " + " | ".join(map(str, each)) + " |"


if __name__ == "__main__":
    main()
