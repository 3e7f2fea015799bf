"""What `cra doctor` finds."""

from typing import Literal

from models.plans import Frozen

Verdict = Literal["ok", "warning", "failed"]


class Finding(Frozen):
    """What was found of one thing, and what to do about it if it is not ok."""

    what: str
    verdict: Verdict
    found: str
    remedy: str = ""
