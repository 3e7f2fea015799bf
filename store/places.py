"""Paths in rows: absolute, or in a database that came in a bundle relative to the data directory of the settings."""

from pathlib import Path, PurePosixPath

from models.errors import DatabaseError

IN_DATA_DIR = "data_dir:/"
"""What a path begins with that is relative to the data directory."""


def located(path: str) -> Path:
    """The path that a row holds, on this machine. Raises DatabaseError for one that leaves the data
    directory, SettingsError if the settings cannot be read."""
    if not path.startswith(IN_DATA_DIR):
        return Path(path)
    from host.settings import load_settings

    below = PurePosixPath(path.removeprefix(IN_DATA_DIR))
    if below.is_absolute() or ".." in below.parts:
        raise DatabaseError(f"the path {path!a} in a database leaves the data directory; restore the database")
    return load_settings().data_dir.absolute() / below
