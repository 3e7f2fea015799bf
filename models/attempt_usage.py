"""What one attempt asked of models, and what that cost."""

from models.plans import Frozen


class AttemptUsage(Frozen):
    """What an attempt asked: questions, those of them that were answered before, and tokens and cost of the others."""

    questions: int = 0
    replayed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0

    def __str__(self) -> str:
        """The figures in words."""
        replayed = f" ({self.replayed} of {self.questions} answers replayed)" if self.replayed else ""
        return f"cost {self.cost:.4f}, {self.prompt_tokens} tokens in and {self.completion_tokens} out{replayed}"
