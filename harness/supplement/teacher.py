"""The teacher of a team of models as a writer of tests."""

from typing import TYPE_CHECKING

from models.chat import Message, prompt_text
from models.errors import ProviderError
from models.protocols import Stage
from models.supplements import TeacherReply
from models.tokens import ANSWER_TOKENS

if TYPE_CHECKING:
    from llm import Completion, Router

STAGE = Stage.CODE
"""The stage whose teacher writes tests."""


class RouterTeacher:
    """A teacher behind a router; `temperature` and `seed` are used for every question."""

    def __init__(self, router: "Router", temperature: float = 0.0, seed: int = 0) -> None:
        self._router, self._temperature, self._seed = router, temperature, seed

    @property
    def identity(self) -> str:
        """The router's identity, with temperature and seed."""
        return f"{self._router.identity} t{self._temperature:g} s{self._seed}"

    @property
    def max_prompt_tokens(self) -> int:
        """The stage's window less the answer."""
        return self._router.max_prompt_tokens(STAGE, ANSWER_TOKENS[STAGE])

    def count(self, text: str) -> int:
        """Tokens by the teacher's tokenizer."""
        return self._router.count(STAGE, text)

    def ask(self, messages: tuple[Message, ...]) -> TeacherReply:
        """One answer. Raises ProviderError, CapReached and PromptTooLong."""
        from llm import ChatRequest

        request = ChatRequest(
            messages=messages, max_tokens=ANSWER_TOKENS[STAGE], temperature=self._temperature, seed=self._seed
        )
        completions = self._router.complete(STAGE, request)
        if not completions:
            raise ProviderError("the teacher gave no answer; ask again")
        return reply_of(completions[0]).model_copy(update={"prompt": prompt_text(completions[0].sent or messages)})


def reply_of(completion: "Completion") -> TeacherReply:
    """A completion as a reply, without its prompt."""
    return TeacherReply(
        text=completion.text,
        model=completion.adapter or completion.model,
        finish_reason=completion.finish_reason,
        prompt_tokens=completion.prompt_tokens,
        cached_tokens=completion.cached_tokens,
        completion_tokens=completion.completion_tokens,
        cost=completion.cost,
        latency=completion.latency,
        retries=completion.retries,
        seed=completion.seed,
    )
