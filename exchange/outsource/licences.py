"""Licences of the data that leaves with a pack: who has the folder has copies of it."""

from models.errors import UsageError
from training.data.curation import Card
from training.data.sources.open_datasets.conversion import NotKept
from training.data.sources.open_datasets.licences import row_license


def check_licences(card: Card, *, accepted: bool) -> list[str]:
    """A note on the licences of a dataset, with counts of rows. Raises UsageError if one is unknown or restricts the
    use, unless a person accepted that."""
    counts = ", ".join(f"{name or 'none'} {count}" for name, count in sorted(card.licenses.items()))
    for name in sorted(card.licenses):
        try:
            row_license(name)
        except NotKept as why:
            if not accepted:
                raise UsageError(
                    f"dataset {card.id[:12]} has rows under {name!a} ({why}; all: {counts}); give --accept-licence if "
                    "they may be handed to the other machine"
                ) from why
    return [f"rows by licence: {counts}"]
