"""What a command says of the collection that it made: where it is, what it holds, and what to do with it."""

from pathlib import Path
from typing import TYPE_CHECKING

from cli.output import console, counted

if TYPE_CHECKING:
    from training.data.sources.collections import CollectionCard


def print_made(folder: Path, card: "CollectionCard", offered: str, targets: str = "code") -> None:
    """Print the last lines of such a command; `offered` is what its rows are called, `targets` a value of --stage."""
    kept = [counted(card.pairs, "example")] + ([counted(card.preferences, "preference")] if card.preferences else [])
    console.print(f"{' and '.join(kept)} of {counted(card.offered, offered)} in {folder}", markup=False, soft_wrap=True)
    console.print(
        f"next: name [sources.{card.source.value}] in a mix: cra curate-data --stage {targets} --mix FILE --dry-run",
        markup=False,
        soft_wrap=True,
    )
