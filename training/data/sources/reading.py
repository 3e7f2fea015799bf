"""Parsing of stored answers by the current parsers; unparsable answers are not trained on."""

from agent.answers import read_answer
from agent.edits.parse import parse_edits
from agent.plan.parse import parse_meta_plan
from agent.retrieve.judgements import precision_classes, scope_classes
from models.context import Relevance, SymbolUse, TaskAnalysis
from models.errors import EditError, PlanError
from models.plans import PartPlan, PlanAdjustment, TestPlan
from models.protocols import Stage

CLASSES: dict[Stage, tuple[str, ...]] = {
    Stage.SCOPE: tuple(each.value for each in Relevance),
    Stage.PRECISION: tuple(each.value for each in SymbolUse),
}
"""The classes of each classifying stage."""
SOUGHT = {Stage.SCOPE: Relevance.RELEVANT.value, Stage.PRECISION: SymbolUse.PRIMARY.value}
"""The relevant class of each such stage: the rarest, and the most costly to miss."""


def is_text(*texts: str | None) -> bool:
    """Whether texts can be written as UTF-8: lone surrogates cannot be tokenised."""
    try:
        "".join(text for text in texts if text).encode()
    except UnicodeEncodeError:
        return False
    return True


def is_readable(stage: Stage, text: str) -> bool:
    """Whether the stage's parser accepts an answer, as far as that is known without its request."""
    try:
        match stage:
            case Stage.TASK_ANALYSIS:
                read_answer(TaskAnalysis, text, "summary")
            case Stage.SCOPE | Stage.PRECISION:
                classes_of(stage, text)
            case Stage.META_PLAN:
                parse_meta_plan(text)
            case Stage.PART_PLAN:
                read_answer(PartPlan, text, "steps").in_order()
            case Stage.TEST_PLAN:
                read_answer(TestPlan, text, "steps").in_order()
            case Stage.ADJUSTMENT:
                read_answer(PlanAdjustment, text, "verdict")
            case Stage.CODE:
                parse_edits(text)
    except (PlanError, EditError):
        return False
    return True


def classes_of(stage: Stage, text: str) -> list[str]:
    """The classes in an answer of scope or precision, one per judged file or symbol. Raises PlanError."""
    classes = scope_classes(text) if stage is Stage.SCOPE else precision_classes(text)
    return [each.value for each in classes]
