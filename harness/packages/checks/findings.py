"""A fault of a package: the field, its value, and the remedy."""

from dataclasses import dataclass

_LONGEST = 80
_PREPARE = "prepare the package again"


@dataclass(frozen=True)
class ManifestFinding:
    """One fault. `value` is printable: one short line without control characters."""

    field: str
    value: str
    why: str
    remedy: str = _PREPARE

    def __str__(self) -> str:
        """One line: the field, the value, the reason, the remedy."""
        value = f" {self.value}:" if self.value else ""
        return f"{self.field}:{value} {self.why}; {self.remedy}"


def shown(value: object) -> str:
    """An untrusted value in printable form: quoted, escaped, at most 80 characters."""
    if isinstance(value, str) and len(value) > _LONGEST:
        value = value[:_LONGEST] + "..."
    text = ascii(value)
    return text if len(text) <= 2 * _LONGEST else f"{text[: 2 * _LONGEST]}..."
