"""Repo packages that campaigns ran on."""

from typing import TYPE_CHECKING

from sqlalchemy import select

from store.database import reading
from store.places import located
from store.tables import CampaignRun, table_of

if TYPE_CHECKING:
    from sqlalchemy import Engine


def package_paths(raw: "Engine") -> list[str]:
    """Directories of the packages that campaigns ran on, each once, those of the latest runs last."""
    runs = table_of(CampaignRun)
    with reading(raw) as connection:
        found = connection.scalars(select(runs.c.packages).order_by(runs.c.started_at))
        paths = [str(located(path)) for packages in found for path in packages]
    return list(dict.fromkeys(reversed(paths)))[::-1]
