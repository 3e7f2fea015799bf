"""The limits of the configured student, known without asking a server: windows, answers, the tokenizer, questions.

A planner that stands in for the student cuts its prompts by them, so that they are those that the student is sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from llm.tokens import PROMPT_FRAME, TextCounter, own_control_tokens, text_counter
from models.control import ControlTokens, control_tokens
from models.errors import SettingsError
from models.judging import QuestionForm
from models.llm_settings import Endpoint, ModelSettings
from models.protocols import Stage
from models.tokens import ANSWER_TOKENS, SMALLEST_SHARE, WINDOWS, estimate_tokens

if TYPE_CHECKING:
    from store.database import Engine

_PROBE = "def parse(self, text: str) -> dict[str, int]:\n\t# Größe → 42\n        return {'naïve_name': len(text)}\r\n"


@dataclass(frozen=True)
class RoleTokens:
    """The tokens of one role's model: how they are counted (`name` identifies that), and which strings are control."""

    counter: TextCounter
    control: ControlTokens
    name: str = "estimate"

    def count(self, text: str) -> int:
        """Tokens of a text as sent, framing not counted."""
        return self._sent.text(text)

    @cached_property
    def _sent(self) -> TextCounter:
        return TextCounter(self.counter.how, lambda text: self.counter.text(self.control.neutralise(text)))


def estimated() -> RoleTokens:
    """Tokens by the estimate, for a model whose tokenizer is not at hand."""
    return RoleTokens(TextCounter("estimate", estimate_tokens), control_tokens())


@dataclass(frozen=True)
class StudentLimits:
    """Windows and longest answers of the stages, in tokens, the tokens of the two roles, and the form of questions."""

    windows: Mapping[Stage, int] = field(default_factory=lambda: WINDOWS)
    answers: Mapping[Stage, int] = field(default_factory=lambda: ANSWER_TOKENS)
    reasoning: RoleTokens = field(default_factory=estimated)
    coding: RoleTokens = field(default_factory=estimated)
    question_form: QuestionForm = field(default_factory=QuestionForm)

    def max_prompt_tokens(self, stage: Stage) -> int:
        """Most tokens of a prompt's texts, as `llm.router.Router` has it."""
        window = self.windows[stage]
        return window - min(self.max_output_tokens(stage), window // 2) - PROMPT_FRAME

    def max_output_tokens(self, stage: Stage) -> int:
        """Most tokens of an answer, as `llm.router.Router` has it."""
        fair = min(ANSWER_TOKENS[stage], (self.windows[stage] - PROMPT_FRAME) // SMALLEST_SHARE)
        return min(fair, self.answers[stage])

    def tokens(self, stage: Stage) -> RoleTokens:
        """The tokens of the model that answers a stage."""
        return self.coding if stage is Stage.CODE else self.reasoning

    @property
    def exact(self) -> bool:
        """Whether both roles count with a tokenizer."""
        return self.reasoning.counter.exact and self.coding.counter.exact

    @property
    def identity(self) -> str:
        """All that the limits depend on, in one line."""
        windows = [f"{stage.value}={tokens}" for stage, tokens in self.windows.items() if tokens != WINDOWS[stage]]
        answers = [
            f"{stage.value}<{self.answers[stage]}" for stage in Stage if self.answers[stage] < ANSWER_TOKENS[stage]
        ]
        counted = [f"{role}:{tokens.name}" for role, tokens in self._roles() if tokens.counter.exact]
        return " ".join([self.question_form.identity, *windows, *answers, *counted])

    def _roles(self) -> tuple[tuple[str, RoleTokens], ...]:
        return (("reasoning", self.reasoning), ("coding", self.coding))


def student_limits(models: ModelSettings, curated: "Engine | None" = None, base: str | None = None) -> StudentLimits:
    """The limits of the student in the settings. Without a tokenizer, tokens are estimated.

    An endpoint's tokenizer is the file in its settings, else that of the registered base that it serves (by `curated`);
    `base` names one for both roles instead. Raises SettingsError for a file that is no tokenizer, one that counts
    otherwise than the endpoint's base, and a `base` that is not registered.
    """
    bases = _tokenizers_of_bases(curated)
    if base is not None and base not in bases:
        known = ", ".join(sorted(bases)) or "none"
        raise SettingsError(f"no base {base!r} is registered (known: {known}); `cra bases add` registers one")
    names = {stage: models.roles.coding if stage is Stage.CODE else models.roles.reasoning for stage in Stage}
    used = {name: models.endpoint(name) for name in names.values()}
    tokens = {name: _role_tokens(name, endpoint, bases, base) for name, endpoint in used.items()}
    windows, answers = {}, {}
    for stage, name in names.items():
        endpoint = used[name]
        asked = models.windows.get(stage, WINDOWS[stage])
        windows[stage] = asked if endpoint.window is None else min(asked, endpoint.window - endpoint.trace_tokens)
        answers[stage] = min(ANSWER_TOKENS[stage], endpoint.answer_tokens or ANSWER_TOKENS[stage])
    roles = tokens[models.roles.reasoning], tokens[models.roles.coding]
    return StudentLimits(windows, answers, *roles, models.question_form)


def _tokenizers_of_bases(curated: "Engine | None") -> dict[str, Path]:
    if curated is None:
        return {}
    from store.learning.bases import list_bases

    return {base.name: base.path / "tokenizer.json" for base in list_bases(curated)}


def _role_tokens(name: str, endpoint: Endpoint, bases: Mapping[str, Path], base: str | None) -> RoleTokens:
    own, registered = endpoint.tokenizer, bases.get(base or endpoint.base)
    if base is not None:
        own = ""
    if own and registered is not None and not _count_alike(name, own, str(registered)):
        raise SettingsError(
            f"models.endpoints.{name}.tokenizer: {own} is not the tokenizer of its base {endpoint.base!r}; "
            "remove the setting, and the base's own is used"
        )
    path = own or (str(registered) if registered is not None else "")
    if not path:
        return estimated()
    counter, digest = text_counter(name, path)
    return RoleTokens(counter, own_control_tokens(name, endpoint.model_copy(update={"tokenizer": path})), digest)


def _count_alike(name: str, one: str, other: str) -> bool:
    (first, digest), (second, of_base) = text_counter(name, one), text_counter(name, other)
    return digest == of_base or first.text(_PROBE) == second.text(_PROBE)
