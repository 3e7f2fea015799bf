"""`cra import`: instances in the SWE-bench format and its relatives, checked and shown."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from cli.options import JsonOption
from cli.output import counted, errors, print_json, printable, table
from exchange.swebench import read_instances

_SHOWN = 20
"""Refused rows of which the reason is shown; the others are counted."""


def import_(
    file: Annotated[
        Path,
        typer.Argument(help="JSON lines, JSON, CSV, TSV, Parquet or Arrow; also .gz.", exists=True, dir_okay=False),
    ],
    as_json: JsonOption = False,
) -> None:
    """Read instances in the SWE-bench format, check them, and show what they are.

    The spellings of its relatives are read as well: fail_to_pass, F2P, lists as text or as dictionaries of tests. A row
    that is no instance, such as one without its lists of tests, is refused with its reason, and the others are kept.
    Exits with 1 when some rows were refused.
    """
    instances, refused = read_instances(file)
    if as_json:
        print_json(instances)
    else:
        rows = [
            (printable(i.instance_id), printable(i.repo), i.base_commit[:10], len(i.FAIL_TO_PASS), len(i.PASS_TO_PASS))
            for i in instances
        ]
        columns = ["instance", "repository", "base", "F2P", "P2P"]
        table(counted(len(rows), "instance"), columns, rows, right=["F2P", "P2P"])
    if refused:
        for reason in refused[:_SHOWN]:
            errors.print(Text(printable(reason)), soft_wrap=True)
        more = f", the first {_SHOWN} shown" if len(refused) > _SHOWN else ""
        errors.print(Text(f"{counted(len(refused), 'row')} refused of {len(refused) + len(instances)}{more}"))
        raise typer.Exit(1)
