"""`cra import`: instances in the SWE-bench format, checked and shown."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import JsonOption
from cli.output import print_json, table
from exchange.swebench import import_instances


def import_(
    file: Annotated[Path, typer.Argument(help="JSON lines.", exists=True, dir_okay=False)],
    as_json: JsonOption = False,
) -> None:
    """Read instances in the SWE-bench format, check them, and show what they are."""
    with file.open(encoding="utf-8") as lines:
        instances = list(import_instances(lines))
    if as_json:
        print_json(instances)
        return
    rows = [(i.instance_id, i.repo, i.base_commit[:10], len(i.FAIL_TO_PASS), len(i.PASS_TO_PASS)) for i in instances]
    table(f"{len(rows)} instances", ["instance", "repository", "base", "F2P", "P2P"], rows, right=["F2P", "P2P"])
