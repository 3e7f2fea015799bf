"""Predictions: patches that other agents made for instances, in SWE-bench's format, and their verdicts."""

import unicodedata
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from models.plans import Frozen

_NOT_PRINTED = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode's categories of control characters, lone surrogates, and separators of lines and paragraphs."""


def not_printable(text: str) -> str | None:
    """The first character of a text that cannot be printed on one line."""
    return next((each for each in text if unicodedata.category(each) in _NOT_PRINTED), None)


def _printable(text: str) -> str:
    bad = not_printable(text)
    if bad is not None:
        raise ValueError(f"holds {bad!a}, which cannot be printed on one line")
    return text


_Printable = Annotated[str, AfterValidator(_printable)]


class Prediction(BaseModel):
    """One line of a file of predictions; further fields are ignored. `model_patch` is `git apply` input."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    instance_id: _Printable = Field(min_length=1, max_length=500)
    model_patch: str | None = None
    model_name_or_path: _Printable = Field(default="", max_length=500)


class NotJudged(StrEnum):
    """Why a prediction has no verdict although nothing failed."""

    EMPTY_PATCH = "empty-patch"
    DOES_NOT_APPLY = "does-not-apply"
    UNKNOWN_INSTANCE = "unknown-instance"
    INVALID_INSTANCE = "invalid-instance"  # its own gold patch was not seen to pass


class Judged(Frozen):
    """The result for a prediction. `outcome` is the outcome of a candidate, or the reason why it was not judged.

    `undecided` names a fault of the machine or an environment: the same command retries it. Counts are of tests:
    FAIL_TO_PASS and PASS_TO_PASS that passed, and all of them; `p2p_not_run` were not reached, `p2p_passed` is None
    where a FAIL_TO_PASS test failed. `seen` is what the watcher of the run saw.
    """

    instance_id: str
    model_name_or_path: str
    outcome: str
    reason: str = ""
    f2p_passed: int = 0
    f2p_total: int = 0
    p2p_passed: int | None = None
    p2p_total: int = 0
    p2p_not_run: int = 0
    sentinels: int = 0
    twins: int = 0
    twins_agreed: int = 0
    seen: tuple[str, ...] = ()
    verdict: str = ""
    seconds: float = 0.0
    undecided: bool = False
