"""Per-class offsets of an adapter that answers with classes: a bias in its decisions, fitted after its training."""

import hashlib
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from models.plans import Frozen

CLASS_BIAS = "class_bias"
"""The key of a class bias in an adapter's signed statement, and in its row."""


class ClassBias(Frozen):
    """Offsets in nats, added to the log-probabilities of the classes wherever the adapter decides for one.

    offsets: by class; 0 for a class that no validation row decides for. tokens: those of the base that begin each
    class. decisions: those of the validation rows. macro_f1 is of these without offsets, with them, and with offsets
    that were fitted to the other rows. least_recall: of the class that they were fitted to find, the recall asked for;
    None: they were fitted for macro F1 alone. note: why all offsets are 0, if they are.
    """

    offsets: dict[str, float] = Field(default_factory=dict)
    tokens: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    decisions: int = 0
    macro_f1_without: float | None = None
    macro_f1_with: float | None = None
    macro_f1_across: float | None = None
    least_recall: dict[str, float] | None = None
    note: str = ""

    @property
    def active(self) -> bool:
        """Whether any offset differs from 0."""
        return any(self.offsets.values())

    @property
    def by_token(self) -> dict[int, float]:
        """The offset of each token that has one."""
        return {token: value for label, value in self.offsets.items() if value for token in self.tokens.get(label, ())}

    @property
    def identity(self) -> str:
        """What it adds to the identity of an adapter: a hash of the offsets in force, empty if there are none."""
        if not self.active:
            return ""
        return hashlib.sha256(str(sorted(self.by_token.items())).encode()).hexdigest()[:16]


def read_class_bias(stated: Mapping[str, Any]) -> ClassBias | None:
    """The class bias in a statement's configuration or a row's metrics; None: none was fitted."""
    found = stated.get(CLASS_BIAS)
    return None if found is None else ClassBias.model_validate(found)


def asks_for_letters(schema: Mapping[str, Any] | None) -> bool:
    """Whether a question is answered by number with letters of classes (`AnswerForm.LETTERS`), by its JSON schema.

    Only there do the tokens of the classes occur nowhere else in the answer.
    """
    asked = (schema or {}).get("properties")
    return isinstance(asked, dict) and bool(asked) and all(name.isascii() and name.isdigit() for name in asked)
