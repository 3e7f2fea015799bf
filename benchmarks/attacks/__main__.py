"""The table of attacks: tried and held, per kind.

    uv run python -m benchmarks.attacks [KIND...] [--list] [--json]

Exits with 1 when an attack outside the table of residual risks got through.
"""

import argparse
import importlib
import json
import pkgutil
import sys
from collections import defaultdict

from rich.console import Console
from rich.table import Table

import benchmarks.attacks
from benchmarks.attacks.base import Attack, Tried, attempt
from host.throwaway import throwaway

_NOT_KINDS = {"__main__", "base"}


def modules() -> list[str]:
    """The modules that hold attacks."""
    names = {module.name for module in pkgutil.iter_modules(benchmarks.attacks.__path__)}
    return sorted(name for name in names - _NOT_KINDS if not name.startswith("_"))


def attacks(kinds: list[str]) -> list[Attack]:
    """Every attack of some kinds, of all if none is named."""
    found: list[Attack] = []
    for name in modules():
        found += importlib.import_module(f"benchmarks.attacks.{name}").attacks()
    return [attack for attack in found if not kinds or attack.kind in kinds]


def main() -> int:
    """Try them, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*")
    parser.add_argument("--list", action="store_true", help="name the attacks, try none")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    chosen = attacks(options.kinds)
    if options.list:
        print("\n".join(f"{attack.kind}: {attack.name}" for attack in chosen))
        return 0
    tried = []
    for number, attack in enumerate(chosen, 1):
        with throwaway("cra-attack-") as scratch:
            tried.append(attempt(attack, scratch))
        last = tried[-1]
        verdict = {True: "held", False: "GOT THROUGH", None: "not tried here"}[last.held]
        print(
            f"{number}/{len(chosen)} {attack.kind}: {attack.name}: {verdict} ({last.seconds:.1f} s): {last.said}",
            file=sys.stderr,
            flush=True,
        )
    show(tried, as_json=options.json)
    return int(any(each.held is False and not each.attack.residual for each in tried))


def show(tried: list[Tried], *, as_json: bool) -> None:
    """Counts per kind, and what got through."""
    by_kind: dict[str, list[Tried]] = defaultdict(list)
    for each in tried:
        by_kind[each.attack.kind].append(each)
    rows = [
        {
            "kind": kind,
            "tried": sum(each.held is not None for each in members),
            "held": sum(each.held is True for each in members),
            "residual": sum(each.held is False and bool(each.attack.residual) for each in members),
            "got through": sum(each.held is False and not each.attack.residual for each in members),
            "not tried here": sum(each.held is None for each in members),
        }
        for kind, members in sorted(by_kind.items())
    ]
    if as_json:
        cases = [
            {
                "kind": t.attack.kind,
                "name": t.attack.name,
                "held": t.held,
                "said": t.said,
                "residual": t.attack.residual,
            }
            for t in tried
        ]
        print(json.dumps({"kinds": rows, "attacks": cases}, indent=2))
        return
    table = Table(*rows[0]) if rows else Table("kind")
    for row in rows:
        table.add_row(*map(str, row.values()))
    if rows:
        table.add_row("all", *(str(sum(int(str(row[name])) for row in rows)) for name in list(rows[0])[1:]))
    console = Console()
    console.print(table)
    for each in tried:
        if each.held is False:
            console.print(f"{each.attack.kind}: {each.attack.name}: {each.said} {each.attack.residual}", markup=False)


if __name__ == "__main__":
    sys.exit(main())
