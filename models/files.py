"""Files and changes of files, as data."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class FileContent:
    """A text file."""

    text: str
    executable: bool = False


Overlay = Mapping[str, tuple[bytes, bool] | None]
"""Changes over a tree: path -> (new content, whether it is executable), or None for a deleted file."""
