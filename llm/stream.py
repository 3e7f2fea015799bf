"""Gathering of one streamed answer: texts, traces, finish reasons and usage of each of its choices."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from llm.faults import CallFailed
from llm.thinking import split_trace

_BROKEN_FINISHES = {"error", "abort", "insufficient_system_resource"}
"""Finish reasons by which a provider reports a failure."""


@dataclass
class PartialChoice:
    """One of the samples, as far as received."""

    text: list[str] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)
    finish: str | None = None
    pieces: int = 0
    size: int = 0

    @property
    def parts(self) -> tuple[str, str]:
        """(answer, thinking trace)."""
        text, trace = "".join(self.text), "".join(self.trace)
        answer, inner = split_trace(text)
        return answer, "\n".join(part for part in (trace.strip(), inner) if part)


@dataclass
class PartialAnswer:
    """An answer, as far as received."""

    choices: dict[int, PartialChoice] = field(default_factory=dict)
    model: str = ""
    prompt_tokens: int | None = None
    cached_tokens: int = 0
    completions: list[int] = field(default_factory=list)

    @property
    def begun(self) -> bool:
        """Whether any of the answer proper has arrived."""
        return any(choice.pieces for choice in self.choices.values())

    def completion_tokens(self) -> dict[int, int]:
        """Generated tokens per choice. Where the provider gives one sum for all, it is divided in proportion to the
        pieces; a count per choice (llama.cpp) arrives in the order in which the choices end."""
        pieces = {index: max(choice.pieces, 1) for index, choice in sorted(self.choices.items())}
        if not self.completions:
            return {index: choice.pieces for index, choice in sorted(self.choices.items())}
        total, all_pieces = sum(self.completions), sum(pieces.values())
        shares = {index: total * count // all_pieces for index, count in pieces.items()}
        if shares:
            shares[min(shares)] += total - sum(shares.values())
        return shares

    def absorb(self, chunk: Any) -> None:
        """Add one chunk of the stream."""
        self.model = chunk.model or self.model
        for part in chunk.choices or ():
            self._absorb_choice(part)
        usage, timings = getattr(chunk, "usage", None), getattr(chunk, "timings", None)
        if usage is not None:
            self._absorb_usage(usage)
        if isinstance(timings, dict) and isinstance(timings.get("cache_n"), int):
            self.cached_tokens = timings["cache_n"]

    def _absorb_choice(self, part: Any) -> None:
        choice = self.choices.setdefault(int(part.index), PartialChoice())
        delta = part.delta
        trace = getattr(delta, "reasoning_content", None) or getattr(delta, "reasoning", None)
        text = getattr(delta, "content", None) or getattr(delta, "refusal", None)
        for piece, into in ((trace, choice.trace), (text, choice.text)):
            if piece:
                into.append(str(piece))
                choice.pieces += 1
                choice.size += len(piece)
        choice.finish = part.finish_reason or choice.finish

    def _absorb_usage(self, usage: Any) -> None:
        self.prompt_tokens = int(usage.prompt_tokens)
        self.completions.append(int(usage.completion_tokens or 0))
        details = getattr(usage, "prompt_tokens_details", None)
        cached = getattr(details, "cached_tokens", None) or getattr(usage, "prompt_cache_hit_tokens", None)
        if cached:
            self.cached_tokens = int(cached)

    def cut(self, max_tokens: int) -> bool:
        """Whether a server that ignores `max_tokens` has sent far more than that; the stream is then cut off."""
        running = [choice for choice in self.choices.values() if choice.finish is None]
        if not running or not all(_too_much(choice, max_tokens) for choice in running):
            return False
        for choice in running:
            choice.finish = "length"
        return True

    def end(self) -> None:
        """End what is not ended: nothing more comes of it, and what has arrived is the answer."""
        for choice in self.choices.values() or [self.choices.setdefault(0, PartialChoice())]:
            choice.finish = choice.finish or "stop"

    def check(self) -> None:
        """Raise CallFailed if the answer is incomplete."""
        if not self.choices:
            raise CallFailed("it answered without any choice", "check its url, or see the server's log", retry=True)
        for choice in self.choices.values():
            if choice.finish is None:
                raise CallFailed("the stream ended before the answer did", "see the server's log", retry=True)
            if choice.finish in _BROKEN_FINISHES:
                raise CallFailed(f"it failed with finish reason {choice.finish!r}", "try again later", retry=True)


def _too_much(choice: PartialChoice, max_tokens: int) -> bool:
    """A piece is mostly one token, but a proxy may split differently: only far more pieces than tokens are too many."""
    return choice.pieces > 4 * max_tokens + 64 or choice.size > 64 * max_tokens + 4096


async def gather(stream: AsyncIterator[Any], into: PartialAnswer, *, stall: float, max_tokens: int) -> None:
    """Read a stream to its end. Raises CallFailed when it stalls for `stall` seconds once the answer has begun, breaks
    off, or holds no answer."""
    chunks = aiter(stream)
    while True:
        try:
            async with asyncio.timeout(stall if into.begun else None):
                chunk = await anext(chunks, None)
        except TimeoutError as error:
            raise CallFailed(
                f"its stream stalled for {stall:g} s",
                "see the server's log, or raise its stall",
                retry=True,
                busy=True,
                slow=True,
            ) from error
        if chunk is None:
            break
        into.absorb(chunk)
        if into.cut(max_tokens):
            break
    into.check()
