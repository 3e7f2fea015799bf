"""A formatter of durations, and the one that is used."""

from dataclasses import dataclass, field

from spans.parse import SECONDS


@dataclass(frozen=True)
class Formatter:
    """Formats durations in given units."""

    sizes: dict = field(default_factory=lambda: dict(SECONDS))
    separator: str = " "
    nothing: str = "0s"

    def __call__(self, seconds):
        out = ""
        for unit in self.sizes:
            count = seconds // self.sizes[unit]
            seconds -= count * self.sizes[unit]
            if count != 0:
                out += (self.separator if out else "") + str(count) + unit
        return out if out else self.nothing


show = Formatter()
