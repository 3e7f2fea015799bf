"""Durations as people write them."""

from spans.errors import SpanError
from spans.parse import parse
from spans.show import show

__version__ = "0.1.0"
__all__ = ["SpanError", "parse", "show"]
