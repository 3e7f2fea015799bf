"""Client of one endpoint: the openai client without its own retries, tenacity, an AIMD limiter, a circuit breaker.

A call waits for a slot, sends its request and gathers the stream. Faults are retried where that helps: after the
pause that the server asks for, or without a field that the server does not know. Otherwise the call raises an error
with the endpoint, the fault and the remedy. Fields that a server refused are remembered and not sent again.
"""

import asyncio
import json
import time
from collections.abc import Coroutine
from dataclasses import fields, replace
from typing import Any

import openai
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_random_exponential

from host.air_gap import is_air_gapped, uses_proxies
from llm.chat import Completion
from llm.faults import CallFailed, OutputUnread, Overflow, Rejected, read_fault, refused_by_template
from llm.meter import Spent
from llm.rate_limit import AimdLimiter, CircuitBreaker
from llm.stream import PartialAnswer, gather
from llm.structured_output import Ask, Form, request_fields
from models.errors import CleanRoomError, PromptTooLong
from models.llm_settings import Endpoint

_CONNECT_SECONDS = 10.0
_LONGEST_PAUSE = 600.0
_SLOW_TRIES = 2
"""A call that timed out is retried once, less often than one that failed at once."""


class Client:
    """One endpoint. All calls run on one event loop, on which the client must also be created."""

    def __init__(self, name: str, settings: Endpoint, url: str, key: str | None) -> None:
        self.name, self.settings = name, settings
        self._key = key
        timeout = openai.Timeout(None, connect=_CONNECT_SECONDS)
        self._openai = openai.AsyncOpenAI(
            base_url=url,
            api_key=key or "none",
            max_retries=0,
            timeout=timeout,
            http_client=openai.DefaultAsyncHttpxClient(
                trust_env=uses_proxies(url), follow_redirects=not is_air_gapped(), timeout=timeout
            ),
        )
        self._openai.organization = self._openai.project = None  # set from the environment, for another provider
        self.pace = AimdLimiter(settings.concurrency)
        self.breaker = CircuitBreaker()
        self._refused_schemas: set[str] = set()
        self._takes = Form(schema=True, together=True)
        """False for what the server refused; schemas are remembered one by one."""

    def refuses(self, schema: dict[str, Any]) -> bool:
        """Whether the endpoint refused this JSON schema before."""
        return _schema_key(schema) in self._refused_schemas

    async def complete(self, ask: Ask) -> list[Completion]:
        """The `n` samples of a request. Raises ProviderError; PromptTooLong where only the server could detect it."""
        failure: CleanRoomError
        try:
            return await self._in_some_form(ask)
        except Overflow as overflow:
            failure = self._too_long(overflow, ask)
        except Rejected as rejected:
            remedy = "set its json_schema = false if that is what it does not know" if ask.request.schema_ else ""
            if refused_by_template(rejected):
                remedy = "its chat template does not take this conversation; serve the model with another template"
            trouble = CallFailed(f"it refused the request ({rejected.message})", remedy or "check its settings")
            failure = trouble.as_error(self.name)
        except _GivenUp as given_up:
            failure = given_up.trouble.as_error(self.name, given_up.tries)
        raise failure  # outside the handlers: their exceptions may quote the key

    async def _in_some_form(self, ask: Ask) -> list[Completion]:
        schema_key = _schema_key(ask.request.schema_)
        wanted = ask.request.schema_ is not None and self.settings.json_schema is not False
        form = replace(
            self._takes,
            schema=wanted and schema_key not in self._refused_schemas,
            together=ask.request.n > 1 and self._takes.together,
        )
        left_out: set[str] = set()
        while True:
            try:
                answers = await self._all_samples(ask, form)
            except Rejected as rejected:
                plainer = form.plainer(rejected)
                if plainer is None or (form.schema and not plainer.schema and self.settings.json_schema is True):
                    raise
                left_out |= {
                    part.name for part in fields(form) if getattr(form, part.name) > getattr(plainer, part.name)
                }
                form = plainer
                continue
            if "schema" in left_out:
                self._refused_schemas.add(schema_key)
            self._takes = replace(self._takes, **dict.fromkeys(left_out - {"schema"}, False))
            return answers

    async def _all_samples(self, ask: Ask, form: Form) -> list[Completion]:
        """One call, or a first one that fills the server's prefix cache, and then the others concurrently."""
        request = ask.request
        answers = await self._call(ask, form, request.n if form.together else 1, request.seed)
        if form.together and len(answers) < request.n:  # the server ignores `n`
            self._takes = replace(self._takes, together=False)
        seeds = [None if request.seed is None else request.seed + index for index in range(len(answers), request.n)]
        others = await _together([self._call(ask, form, 1, seed) for seed in seeds])
        return [*answers, *(answer for group in others for answer in group)][: request.n]

    async def _call(self, ask: Ask, form: Form, n: int, seed: int | None) -> list[Completion]:
        """One call with its retries."""
        refusal = self.breaker.refusal()
        if refusal is not None:
            raise _GivenUp(CallFailed(f"calls are suspended: {refusal}", "check that it works (`cra models check`)"), 1)
        tries = 1 if self.breaker.on_trial else self.settings.attempts
        retrying = AsyncRetrying(
            retry=retry_if_exception(lambda error: isinstance(error, CallFailed) and self._worth_it(error)),
            stop=lambda state: _enough(state, tries),
            wait=self._wait,
            reraise=True,
        )
        attempt_number = 0
        trouble: CallFailed
        try:
            async for attempt in retrying:
                with attempt:
                    attempt_number = attempt.retry_state.attempt_number
                    gathered, latency = await self._attempt(ask, form, n, seed)
        except CallFailed as last:
            trouble = last
        else:
            self.breaker.good()
            return self._completions(ask, gathered, latency, attempt_number - 1, seed)
        if trouble.down:
            wait = trouble.wait or 0.0
            pause = min(max(wait, self.settings.max_wait), _LONGEST_PAUSE)
            self.breaker.bad(trouble.what, pause, at_once=wait > self.settings.max_wait)
        raise _GivenUp(trouble, attempt_number)

    def _worth_it(self, trouble: CallFailed) -> bool:
        return trouble.retry and (trouble.wait or 0.0) <= self.settings.max_wait

    def _wait(self, state: RetryCallState) -> float:
        """Seconds until the next attempt: exponential backoff with jitter, and at least what the server asks for."""
        backoff = wait_random_exponential(multiplier=0.5, max=self.settings.max_wait)(state)
        error = state.outcome.exception() if state.outcome else None
        asked = error.wait if isinstance(error, CallFailed) else None
        return backoff if asked is None else min(self.settings.max_wait, asked + min(backoff, 1 + asked / 4))

    async def _attempt(self, ask: Ask, form: Form, n: int, seed: int | None) -> tuple[PartialAnswer, float]:
        """One attempt. Raises CallFailed, Overflow or Rejected; the usage of a broken answer is counted."""
        gathered = PartialAnswer()
        async with self.pace.slot() as round_:
            started = time.monotonic()
            fault: Exception | None = None
            try:
                async with asyncio.timeout(self.settings.timeout):
                    stream = await self._openai.chat.completions.create(
                        **request_fields(self.settings, ask, form, n, seed)
                    )
                    try:
                        limit = ask.request.max_tokens + self.settings.trace_tokens
                        await gather(stream, gathered, stall=self.settings.stall, max_tokens=limit)
                    finally:
                        await stream.close()
            except _EXPECTED as error:
                fault = error if isinstance(error, CallFailed) else read_fault(error, self._key, self.settings.timeout)
            if isinstance(fault, OutputUnread):
                gathered.end()
                fault = None
            if fault is None:
                self.pace.speed_up()
                ask.spend(self._spent(ask, gathered))
                return gathered, time.monotonic() - started
            if isinstance(fault, CallFailed) and fault.busy:
                self.pace.slow_down(round_, min(fault.wait or 0.0, self.settings.max_wait))
        if gathered.begun:
            ask.spend(self._spent(ask, gathered))
        raise fault

    def _spent(self, ask: Ask, gathered: PartialAnswer) -> Spent:
        prompt = ask.prompt_tokens if gathered.prompt_tokens is None else gathered.prompt_tokens
        cached = min(gathered.cached_tokens, prompt)
        completion = sum(gathered.completion_tokens().values())
        cost = self.settings.price.of(prompt, cached, completion)
        return Spent(calls=1, prompt_tokens=prompt, cached_tokens=cached, completion_tokens=completion, cost=cost)

    def _completions(
        self, ask: Ask, gathered: PartialAnswer, latency: float, retries: int, seed: int | None
    ) -> list[Completion]:
        whole = self._spent(ask, gathered)
        tokens = gathered.completion_tokens()
        answers = []
        for place, (index, choice) in enumerate(sorted(gathered.choices.items())):
            text, reasoning = choice.parts
            cached = whole.cached_tokens if place == 0 else whole.prompt_tokens
            billed = (whole.prompt_tokens, whole.cached_tokens) if place == 0 else (0, 0)
            answers.append(
                Completion(
                    text=text,
                    reasoning=reasoning,
                    finish_reason=choice.finish or "",
                    model=gathered.model or ask.model,
                    adapter=ask.adapter,
                    endpoint=self.name,
                    prompt_tokens=whole.prompt_tokens,
                    cached_tokens=cached,
                    completion_tokens=tokens[index],
                    cost=self.settings.price.of(*billed, tokens[index]),
                    latency=latency,
                    retries=retries,
                    seed=seed,
                )
            )
        return answers

    def _too_long(self, overflow: Overflow, ask: Ask) -> PromptTooLong:
        prompt = overflow.prompt or ask.prompt_tokens
        window = overflow.window or self.settings.window
        return PromptTooLong(
            f"endpoint {self.name!r} refused a prompt of {prompt} tokens with {ask.request.max_tokens} for the answer; "
            f"its window is {window or 'not known'}: set models.endpoints.{self.name}.window to its real size"
        )


_EXPECTED = (
    CallFailed,
    openai.OpenAIError,
    TimeoutError,
    ValueError,  # JSON and UTF-8 that cannot be decoded are ValueErrors
    TypeError,
    AttributeError,
    KeyError,
)
"""What sending and reading may raise: the library builds its objects from the received JSON unchecked."""


def _schema_key(schema: dict[str, Any] | None) -> str:
    return json.dumps(schema, sort_keys=True)


class _GivenUp(Exception):
    def __init__(self, trouble: CallFailed, tries: int) -> None:
        super().__init__(trouble.what)
        self.trouble, self.tries = trouble, tries


def _enough(state: RetryCallState, tries: int) -> bool:
    error = state.outcome.exception() if state.outcome else None
    slow = isinstance(error, CallFailed) and error.slow
    return state.attempt_number >= (min(tries, _SLOW_TRIES) if slow else tries)


async def _together(calls: list[Coroutine[Any, Any, list[Completion]]]) -> list[list[Completion]]:
    """All calls concurrently; the first error cancels the others."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
