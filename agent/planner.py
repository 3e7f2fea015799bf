"""A planner that asks models: a request becomes a prompt, the stage's model answers it."""

import hashlib
from typing import Protocol

from agent.cross_check import opinion
from agent.prompts import REVISION, answer_schema, render
from llm import ChatRequest, Completion
from models.chat import prompt_text
from models.edits import EditFormat
from models.protocols import JUDGING_STAGES, Answer, Request, Stage
from models.tokens import ANSWER_TOKENS

_VERSION = "model-1"
NO_PLAN = "no-plan"


class StageModels(Protocol):
    """Who answers each stage: `llm.Router`."""

    @property
    def identity(self) -> str: ...
    def max_prompt_tokens(self, stage: Stage, answer_tokens: int) -> int: ...
    def max_output_tokens(self, stage: Stage, wanted: int) -> int: ...
    def count(self, stage: Stage, text: str) -> int: ...
    def edit_format(self, stage: Stage) -> EditFormat: ...
    def complete(self, stage: Stage, request: ChatRequest) -> list[Completion]: ...
    def cross_check(self, stage: Stage, request: ChatRequest) -> Completion | None: ...


class ModelPlanner:
    """Plans and codes by asking models; as `no-plan` it judges and codes, and plans nothing."""

    judges = True
    guides_ranking = True

    def __init__(
        self,
        name: str,
        models: StageModels,
        temperature: float = 0.0,
        seed: int = 0,
        edit_format: EditFormat | None = None,
    ) -> None:
        self.name = name
        self.plans = name != NO_PLAN
        self.edit_format = edit_format or models.edit_format(Stage.CODE)
        self.temperature = temperature
        self.seed = seed
        self._models = models

    @property
    def identity(self) -> str:
        """Hash of the models, the templates and the edit format; temperature and seed are the trajectory's own."""
        text = "\0".join((_VERSION, self.name, self.edit_format.value, REVISION, self._models.identity))
        return f"{_VERSION}-{hashlib.sha256(text.encode()).hexdigest()}"

    @property
    def judging_identity(self) -> str:
        """The same for planners that would judge alike: those of other names and edit formats with the same models."""
        return hashlib.sha256("\0".join((_VERSION, REVISION, self._models.identity)).encode()).hexdigest()

    def max_prompt_tokens(self, stage: Stage) -> int:
        """Tokens that a prompt of this stage may have."""
        return self._models.max_prompt_tokens(stage, self.max_output_tokens(stage))

    def max_output_tokens(self, stage: Stage) -> int:
        """Tokens that an answer of this stage may have."""
        return self._models.max_output_tokens(stage, ANSWER_TOKENS[stage])

    def count(self, text: str) -> int:
        """Tokens of a text, by the coder's tokenizer."""
        return self._models.count(Stage.CODE, text)

    def answer(self, request: Request) -> Answer:
        """The answer of the stage's model.

        Raises ProviderError when it could not be asked, CapReached when the run may spend no more, PromptTooLong.
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
        [said] = self._models.complete(stage, chat)
        checked = self._models.cross_check(stage, chat)
        return Answer(
            text=said.text,
            reasoning=said.reasoning,
            model=said.model,
            adapter=said.adapter,
            endpoint=said.endpoint,
            prompt=prompt_text(said.sent or messages),
            prompt_tokens=said.prompt_tokens,
            cached_tokens=said.cached_tokens,
            completion_tokens=said.completion_tokens,
            cost=said.cost + (checked.cost if checked else 0.0),
            latency=said.latency,
            temperature=temperature,
            seed=seed,
            finish_reason=said.finish_reason,
            retries=said.retries,
            second=opinion(stage, checked.model, said.text, checked.text) if checked else None,
        )
