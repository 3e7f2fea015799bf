"""Paths in rows: absolute, or in a database that came in a bundle relative to the data directory of the settings."""

from pathlib import Path

IN_DATA_DIR = "data_dir:/"
"""What a path begins with that is relative to the data directory."""


def located(path: str) -> Path:
    """The path that a row holds, on this machine. Raises SettingsError if the settings cannot be read."""
    if not path.startswith(IN_DATA_DIR):
        return Path(path)
    from host.settings import load_settings

    return load_settings().data_dir.absolute() / path.removeprefix(IN_DATA_DIR)
