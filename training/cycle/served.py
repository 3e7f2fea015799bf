"""Who answers an evaluation's prompts over HTTP: a served base, or an adapter on it, as they are served in use.

There they are held to the JSON schema of each stage if the endpoint can do that, which bounds what an answer may be.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from evals.scoring import Question
from models.chat import Message
from models.errors import EvaluationError, NoAnswer, ServingError, SettingsError
from models.llm_settings import EMBEDDED
from models.protocols import Stage
from models.settings import Settings
from models.training import TrainingTarget
from store.runs import digest
from training.adapters.export.serving import make_ready
from training.adapters.registry import AdapterVersion
from training.bases.bases import Base

if TYPE_CHECKING:
    from llm.service import Service
    from store.database import Engine


def examiner(settings: Settings, base: Base, target: TrainingTarget) -> str:
    """The endpoint that evaluations of a target ask; empty: none, the base answers in this process.

    A model must be judged as it is used, held to schemas: a base that writes no JSON of its own accord may do well with
    one. The embedded model is always there; a server must be up throughout, beside the training, so it is asked only if
    it is named.
    """
    role = getattr(settings.models.roles, target.role)
    if not settings.training.endpoint and settings.models.endpoint(role).url == EMBEDDED:
        return role if settings.models.endpoint(role).base in (base.name, base.id) else ""
    return settings.training.endpoint


def served_answerer(
    settings: Settings, name: str, curated: "Engine", base: Base, adapter: AdapterVersion | None, stage: Stage
) -> "EndpointAnswerer":
    """An endpoint, asked for a base or for an adapter on it, which it takes up first.

    Raises as `served_terms` and `load_adapter` do.
    """
    terms = served_terms(settings, name, base, stage)
    if adapter is None:
        return terms
    load_adapter(settings, name, curated, base, adapter)
    return EndpointAnswerer(terms.service, stage, adapter.served)


def served_terms(settings: Settings, name: str, base: Base, stage: Stage) -> "EndpointAnswerer":
    """An endpoint, asked for a base; the terms of it are those of any adapter on it. Nothing is asked yet.

    Raises EvaluationError if the endpoint is not said to serve this base, SettingsError for an unknown endpoint.
    """
    from llm.service import open_service

    if name not in {EMBEDDED, *settings.models.endpoints}:
        raise SettingsError(f"training.endpoint names {name!r}, which is not under [models.endpoints]")
    endpoint = settings.models.endpoint(name)
    if endpoint.base not in (base.name, base.id):
        raise EvaluationError(
            f"training.endpoint {name!r} is not said to serve base {base.name}; "
            f'set base = "{base.name}" under [models.endpoints.{name}]'
        )
    return EndpointAnswerer(open_service(name, endpoint), stage)


def load_adapter(settings: Settings, name: str, curated: "Engine", base: Base, adapter: AdapterVersion) -> None:
    """Have an endpoint able to answer by an adapter that may not be promoted yet: it is judged as it will serve.

    The embedded model gets it exported, a vLLM on this machine loads it, proven by the probe. Other servers take
    adapters at their start only; asking them for one that they lack fails and says so. Raises EvaluationError if vLLM
    does not take it, NoAnswer if it says nothing; for the embedded model RegistryError if the adapter is of another
    base, TrainingError if its export differs.
    """
    from llm.service import open_service
    from llm.serving.commands import ListenAddress
    from llm.serving.server import VllmServer

    endpoint = settings.models.endpoint(name)
    if endpoint.url == EMBEDDED:
        make_ready(curated, settings, adapter, base)
        return
    place, facts = ListenAddress.of(endpoint.url, endpoint.api_key_env), open_service(name, endpoint).facts(fresh=True)
    if not place.loopback or facts.dialect != "vllm":
        return
    try:
        VllmServer(place, endpoint.model).load(adapter.served, adapter.path)
    except NoAnswer:  # it may answer the next time
        raise
    except ServingError as error:
        raise EvaluationError(f"{adapter.name} cannot be judged through endpoint {name!r}: {error}") from error


class EndpointAnswerer:
    """A served base, or an adapter by its served name; held to the JSON schema if the endpoint can do that."""

    def __init__(self, service: "Service", stage: Stage, adapter: str | None = None) -> None:
        from llm.router import Route, Router

        self.service, self._stage = service, stage
        self._router = Router({stage: Route(service, None, adapter)})

    @property
    def settings(self) -> Mapping[str, str | int | float]:
        """What another evaluation must have in common with one by this answerer. The server is asked for its window,
        which bounds answers, unless that is set."""
        return {
            "backend": f"endpoint {self.service.settings.model} {self.service.settings.revision}".strip(),
            "constrained": str(self.service.settings.json_schema).lower(),
            "thinking": "on" if self.service.settings.thinking else "off",
            "window": self.service.window,
            "service": digest("service", *self.service.said)[:16],
        }

    def limit(self, wanted: int) -> int:
        """Tokens that an answer may have, as the stages' planner has it: no more than a share of a small window."""
        return self._router.max_output_tokens(self._stage, wanted)

    def answer(
        self,
        messages: Sequence[Message],
        max_tokens: int,
        seed: int,
        temperature: float,
        schema: dict[str, Any] | None = None,
    ) -> str:
        """The answer without a thinking trace.

        Raises PromptTooLong, ProviderError, and SettingsError if the endpoint does not serve the adapter.
        """
        from llm.chat import ChatRequest

        self.service.facts()  # llama.cpp must be told of the base in so many words, which takes knowing it
        request = ChatRequest(
            messages=tuple(messages), max_tokens=max_tokens, temperature=temperature, seed=seed, schema_=schema
        )
        [completion] = self._router.complete(self._stage, request)
        return completion.text

    @property
    def batch(self) -> int:
        """Questions at a time: as many as the endpoint takes."""
        return self.service.settings.concurrency

    def answer_many(self, questions: Sequence[Question], seed: int, temperature: float) -> list[str]:
        """The answers to questions that are asked at the same time. Raises as `answer` does."""

        def ask(question: Question) -> str:
            return self.answer(question.messages, question.max_tokens, seed, temperature, question.schema)

        with ThreadPoolExecutor(max(1, len(questions))) as pool:
            return list(pool.map(ask, questions))
