"""A planner backed by models: a request becomes a prompt, and the stage's model answers it."""

import hashlib
from typing import Protocol

from agent.cross_check import opinion
from agent.prompts import REVISION, answer_schema, render
from agent.retrieve.relevance.classifier import in_force
from llm import ChatRequest, Completion
from models.chat import prompt_text
from models.edits import EditFormat
from models.judging import QuestionForm
from models.protocols import JUDGING_STAGES, Answer, Request, Stage
from models.tokens import ANSWER_TOKENS

_VERSION = "model-1"
NO_PLAN = "no-plan"


class StageModels(Protocol):
    """The models of the stages: `llm.Router`."""

    @property
    def identity(self) -> str: ...
    @property
    def classified(self) -> frozenset[Stage]: ...
    def max_prompt_tokens(self, stage: Stage, answer_tokens: int) -> int: ...
    def max_output_tokens(self, stage: Stage, wanted: int) -> int: ...
    def count(self, stage: Stage, text: str) -> int: ...
    def edit_format(self, stage: Stage) -> EditFormat: ...
    def complete(self, stage: Stage, request: ChatRequest) -> list[Completion]: ...
    def cross_check(self, stage: Stage, request: ChatRequest) -> Completion | None: ...


class ModelPlanner:
    """Plans and codes with models; as `no-plan` it judges and codes, but does not plan."""

    judges = True
    guides_ranking = True

    def __init__(
        self,
        name: str,
        models: StageModels,
        temperature: float = 0.0,
        seed: int = 0,
        edit_format: EditFormat | None = None,
        question_form: QuestionForm | None = None,
    ) -> None:
        self.name = name
        self.question_form = question_form or QuestionForm()
        self.plans = name != NO_PLAN
        self.edit_format = edit_format or models.edit_format(Stage.CODE)
        self.temperature = temperature
        self.seed = seed
        self._models = models

    @property
    def classified(self) -> frozenset[Stage]:
        """Stages of retrieval that the relevance classifier answers."""
        return self._models.classified

    @property
    def identity(self) -> str:
        """Hash of the models, the templates, the edit format, the form of questions, and of the relevance classifier if
        it answers stages; temperature and seed are per trajectory. Raises ClassifierError if that cannot be read."""
        forms = self.edit_format.value, self.question_form.identity
        text = "\0".join((_VERSION, self.name, *forms, REVISION, self._models.identity, *self._classifier))
        return f"{_VERSION}-{hashlib.sha256(text.encode()).hexdigest()}"

    @property
    def judging_identity(self) -> str:
        """Identity of the judging stages: equal for planners of other names and edit formats with the same models."""
        parts = (_VERSION, REVISION, self._models.identity, self.question_form.identity, *self._classifier)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    @property
    def _classifier(self) -> tuple[str, ...]:
        return (in_force().content,) if self.classified else ()

    def max_prompt_tokens(self, stage: Stage) -> int:
        """Most tokens of a prompt of this stage."""
        return self._models.max_prompt_tokens(stage, self.max_output_tokens(stage))

    def max_output_tokens(self, stage: Stage) -> int:
        """Most tokens of an answer of this stage."""
        return self._models.max_output_tokens(stage, ANSWER_TOKENS[stage])

    def count(self, text: str) -> int:
        """Tokens of a text, by the coder's tokenizer."""
        return self._models.count(Stage.CODE, text)

    def answer(self, request: Request) -> Answer:
        """The answer of the stage's model.

        Raises ProviderError when it could not be reached, CapReached when the run may spend no more, PromptTooLong.
        """
        stage = request.stage
        messages = render(request, self.max_prompt_tokens(stage), lambda text: self._models.count(stage, text))
        temperature = 0.0 if stage in JUDGING_STAGES else self.temperature
        seed = (0 if stage in JUDGING_STAGES else self.seed) + request.attempt
        chat = ChatRequest(
            messages=messages,
            max_tokens=self.max_output_tokens(stage),
            temperature=temperature,
            seed=seed,
            schema_=answer_schema(request, self.max_output_tokens(stage)),
        )
        [completion] = self._models.complete(stage, chat)
        checked = self._models.cross_check(stage, chat)
        return Answer(
            text=completion.text,
            reasoning=completion.reasoning,
            model=completion.model,
            adapter=completion.adapter,
            endpoint=completion.endpoint,
            prompt=prompt_text(completion.sent or messages),
            prompt_tokens=completion.prompt_tokens,
            cached_tokens=completion.cached_tokens,
            completion_tokens=completion.completion_tokens,
            cost=completion.cost + (checked.cost if checked else 0.0),
            latency=completion.latency,
            temperature=temperature,
            seed=seed,
            finish_reason=completion.finish_reason,
            retries=completion.retries,
            second=opinion(stage, checked.model, completion.text, checked.text) if checked else None,
        )
