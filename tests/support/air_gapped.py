"""Air-gapped mode for some lines of a test; the variables that it sets are put back."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch


@contextmanager
def air_gapped(folder: Path, **variables: str) -> Iterator[None]:
    """In air-gapped mode, with data and cache below a folder and further variables."""
    places = {"CRA_DATA_DIR": str(folder / "data"), "CRA_CACHE_DIR": str(folder / "cache")}
    with patch.dict(os.environ, {**places, "CRA_AIR_GAPPED": "1", **variables}):
        yield
