"""Durations as people write them."""

from spans.errors import SpanError
from spans.parse import parse
from spans.show import show
from spans.span import Span

__version__ = "0.1.0"
__all__ = ["Span", "SpanError", "parse", "show"]
