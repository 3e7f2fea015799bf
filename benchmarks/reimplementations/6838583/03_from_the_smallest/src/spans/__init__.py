"""Durations as people write them."""

from spans.parse import parse
from spans.show import show

__version__ = "0.1.0"
__all__ = ["parse", "show"]
