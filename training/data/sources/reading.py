"""An answer read as its stage's parser reads it: what cannot be read today is not learned."""

from agent.answers import read_answer
from agent.edits.parse import parse_edits
from agent.plan.parse import parse_meta_plan
from models.context import PrecisionJudgement, Relevance, ScopeJudgement, SymbolUse, TaskAnalysis
from models.errors import EditError, PlanError
from models.plans import PartPlan, PlanAdjustment, TestPlan
from models.protocols import Stage

CLASSES: dict[Stage, tuple[str, ...]] = {
    Stage.SCOPE: tuple(each.value for each in Relevance),
    Stage.PRECISION: tuple(each.value for each in SymbolUse),
}
"""What the stages that classify choose from."""
SOUGHT = {Stage.SCOPE: Relevance.RELEVANT.value, Stage.PRECISION: SymbolUse.PRIMARY.value}
"""The class that such a stage is there to find; it is the rarest, and to miss one costs most."""


def is_text(*texts: str | None) -> bool:
    """Whether texts can be written as UTF-8: what holds half a surrogate pair cannot be told to a tokenizer."""
    try:
        "".join(text for text in texts if text).encode()
    except UnicodeEncodeError:
        return False
    return True


def is_readable(stage: Stage, text: str) -> bool:
    """Whether the stage's parser takes an answer, as far as that can be told without its question."""
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
    """The classes that an answer of scope or precision gives, one for each thing judged. Raises PlanError."""
    if stage is Stage.SCOPE:
        return [relevance.value for relevance in read_answer(ScopeJudgement, text, "files").files.values()]
    symbols = read_answer(PrecisionJudgement, text, "symbols").symbols
    return [use.value for uses in symbols.values() for use in uses.values()]
