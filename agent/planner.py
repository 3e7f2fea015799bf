"""A planner backed by models: a request becomes a prompt, and the stage's model answers it."""

import hashlib
from collections.abc import Callable
from typing import Protocol

from agent.asking import ATTEMPTS
from agent.cross_check import opinion
from agent.prompts import REVISION, answer_schema, render
from agent.retrieve.relevance.classifier import in_force
from llm import ChatRequest, Completion
from models.chat import prompt_text
from models.edits import EditFormat
from models.errors import PromptTooLong
from models.judging import QuestionForm
from models.protocols import JUDGING_STAGES, Answer, Request, Stage
from models.tokens import ANSWER_TOKENS

_VERSION = "model-1"
NO_PLAN = "no-plan"
TOO_LONG, UNUSABLE = "too-long", "unusable"
"""With what the reasons begin for which the generalist answers."""


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
    @property
    def falls_back(self) -> bool: ...
    def generalist_prompt_tokens(self, answer_tokens: int) -> int: ...
    def generalist_output_tokens(self, wanted: int) -> int: ...
    def generalist_count(self, text: str) -> int: ...
    def complete_by_generalist(self, stage: Stage, request: ChatRequest, why: str) -> list[Completion]: ...


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
    def falls_back(self) -> bool:
        """Whether a generalist answers what the stage's own model cannot."""
        return self._models.falls_back

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

        The generalist answers a prompt that this model cannot take even without context, and a question after all
        attempts of this model; its prompt is cut to its own window.

        Raises ProviderError when it could not be reached, CapReached when the run may spend no more, PromptTooLong.
        """
        stage = request.stage
        chat, completion = self._completed(request)
        checked = self._models.cross_check(stage, chat)
        return Answer(
            text=completion.text,
            reasoning=completion.reasoning,
            model=completion.model,
            adapter=completion.adapter,
            endpoint=completion.endpoint,
            prompt=prompt_text(completion.sent or chat.messages),
            prompt_tokens=completion.prompt_tokens,
            cached_tokens=completion.cached_tokens,
            completion_tokens=completion.completion_tokens,
            cost=completion.cost + (checked.cost if checked else 0.0),
            latency=completion.latency,
            temperature=chat.temperature,
            seed=chat.seed,
            fallback=completion.fallback,
            finish_reason=completion.finish_reason,
            retries=completion.retries,
            second=opinion(stage, checked.model, completion.text, checked.text) if checked else None,
        )

    def _completed(self, request: Request) -> tuple[ChatRequest, Completion]:
        """The question as it was sent, and its completion."""
        stage = request.stage
        if request.attempt >= ATTEMPTS and self.falls_back:
            return self._by_generalist(request, f"{UNUSABLE}: {request.failure}")
        limit = self.max_prompt_tokens(stage)
        chat = self._chat(request, limit, self.max_output_tokens(stage), lambda text: self._models.count(stage, text))
        try:
            [completion] = self._models.complete(stage, chat)
        except PromptTooLong as error:
            if not self.falls_back:
                raise
            return self._by_generalist(request, f"{TOO_LONG}: {error}")
        return chat, completion

    def _by_generalist(self, request: Request, why: str) -> tuple[ChatRequest, Completion]:
        most = self._models.generalist_output_tokens(ANSWER_TOKENS[request.stage])
        limit = self._models.generalist_prompt_tokens(most)
        chat = self._chat(request, limit, most, self._models.generalist_count)
        [completion] = self._models.complete_by_generalist(request.stage, chat, why)
        return chat, completion

    def _chat(self, request: Request, max_prompt_tokens: int, most: int, count: Callable[[str], int]) -> ChatRequest:
        """The question in at most so many tokens of prompt, and `most` of answer."""
        stage = request.stage
        return ChatRequest(
            messages=render(request, max_prompt_tokens, count),
            max_tokens=most,
            temperature=0.0 if stage in JUDGING_STAGES else self.temperature,
            seed=(0 if stage in JUDGING_STAGES else self.seed) + request.attempt,
            schema_=answer_schema(request, most),
        )
