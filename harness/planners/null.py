"""The null planner: its empty plan shows the test results of an unchanged tree."""

from models.edits import EditFormat
from models.judging import QuestionForm
from models.plans import MetaPlan
from models.protocols import Answer, Request, Stage
from models.tokens import ANSWER_TOKENS, WINDOWS, estimate_tokens


class NullPlanner:
    """Answers the meta plan with an empty one; the loop asks it nothing else."""

    name = "null"
    identity = "null-1"
    edit_format = EditFormat.SEARCH_REPLACE
    question_form = QuestionForm()
    judges = False
    classified: frozenset[Stage] = frozenset()
    guides_ranking = False
    falls_back = False
    plans = True

    def max_prompt_tokens(self, stage: Stage) -> int:
        """No model, no window: the stage's own."""
        return WINDOWS[stage]

    def max_output_tokens(self, stage: Stage) -> int:
        """The limit of a model's answer."""
        return ANSWER_TOKENS[stage]

    def count(self, text: str) -> int:
        """Tokens of a text, estimated."""
        return estimate_tokens(text)

    def answer(self, request: Request) -> Answer:
        """An empty meta plan. Raises ValueError for other stages, which an empty plan never reaches."""
        if request.stage is not Stage.META_PLAN:
            raise ValueError(f"the null planner has no answer for {request.stage.value}")
        return Answer(text=MetaPlan().model_dump_json(indent=2), model=self.name)
