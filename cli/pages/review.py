"""The page on which a person reads sampled plans: each with its prompt, reasoning, plan, and what came of it.

The page is one file for any browser and asks for nothing. It cannot write to the database: its only script saves the
verdicts as a file, which `cra review read` takes; beside each plan is the command that records one.
"""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from evals.plan_samples import PlanSample
from models.manifest import PlanningType
from models.plan_reviews import ReviewVerdict

TITLES = {
    PlanningType.META: "Meta plans: how the task was divided",
    PlanningType.STEP: "Step plans: how a part was to be done",
    PlanningType.TEST: "Test plans: how a part was to be tested",
}
_FOLDER = Path(__file__).parent


def review_page(campaign: str, samples: Sequence[PlanSample], seed: int) -> str:
    """The page. All text is escaped; the same samples give the same page."""
    script = (_FOLDER / "review.js").read_text(encoding="utf-8")
    return (
        _environment()
        .get_template("review.html.jinja")
        .render(
            campaign=campaign,
            seed=seed,
            groups=[
                (kind.value, title, [each for each in samples if each.type is kind]) for kind, title in TITLES.items()
            ],
            verdicts=[each.value for each in ReviewVerdict],
            script=script,
            hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )
        + "\n"
    )


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
