"""Answers an evaluation's prompts over HTTP by a served base, or an adapter on it, as in production.

Answers are constrained to the JSON schema of each stage if the endpoint supports it.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from evals.scoring import Question
from models.chat import Message
from models.class_bias import ClassBias
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


def evaluation_endpoint(settings: Settings, base: Base, target: TrainingTarget) -> str:
    """The endpoint for evaluations of a target; empty: none, the base answers in this process.

    A model must be evaluated as in production, constrained to schemas: a base that writes no JSON by itself may do well
    with one. The embedded model is always available; a server must run throughout, in addition to the training, so it
    is used only if named.
    """
    role = getattr(settings.models.roles, target.role)
    if not settings.training.endpoint and settings.models.endpoint(role).url == EMBEDDED:
        return role if settings.models.endpoint(role).base in (base.name, base.id) else ""
    return settings.training.endpoint


def served_answerer(
    settings: Settings, name: str, curated: "Engine", base: Base, adapter: AdapterVersion | None, stage: Stage
) -> "EndpointAnswerer":
    """An answerer by an endpoint, for a base or an adapter on it, which is loaded first.

    Raises as `served_terms` and `load_adapter` do.
    """
    terms = served_terms(settings, name, base, stage)
    if adapter is None:
        return terms
    load_adapter(settings, name, curated, base, adapter)
    return EndpointAnswerer(terms.service, stage, adapter.served, adapter.class_bias)


def served_terms(settings: Settings, name: str, base: Base, stage: Stage) -> "EndpointAnswerer":
    """An answerer by an endpoint for a base; its settings apply to any adapter on it. Sends no request yet.

    Raises EvaluationError if the endpoint is not configured to serve this base, SettingsError for an unknown endpoint.
    """
    from llm.service import open_service

    if name not in {EMBEDDED, *settings.models.endpoints}:
        raise SettingsError(f"training.endpoint names {name!r}, which is not under [models.endpoints]")
    endpoint = settings.models.endpoint(name)
    if endpoint.base not in (base.name, base.id):
        raise EvaluationError(
            f"training.endpoint {name!r} is not configured to serve base {base.name}; "
            f'set base = "{base.name}" under [models.endpoints.{name}]'
        )
    return EndpointAnswerer(open_service(name, endpoint), stage)


def load_adapter(settings: Settings, name: str, curated: "Engine", base: Base, adapter: AdapterVersion) -> None:
    """Load an adapter at an endpoint, promoted or not, to evaluate it as in production.

    It is exported for the embedded model, and loaded by a local vLLM, which a probe verifies. Other servers load
    adapters only at their start; a request for a missing one fails. Raises EvaluationError if vLLM refuses it, NoAnswer
    if it does not respond; for the embedded model RegistryError if the adapter is of another base, TrainingError if its
    export differs.
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
    except NoAnswer:  # it may respond the next time
        raise
    except ServingError as error:
        raise EvaluationError(f"{adapter.name} cannot be judged through endpoint {name!r}: {error}") from error


class EndpointAnswerer:
    """A served base, or an adapter by its served name, with its class bias; constrained to the JSON schema if the
    endpoint supports it."""

    def __init__(
        self, service: "Service", stage: Stage, adapter: str | None = None, bias: ClassBias | None = None
    ) -> None:
        from llm.router import Route, Router

        self.service, self._stage = service, stage
        self._router = Router({stage: Route(service, None, adapter, biased=lambda _: bias)})

    @property
    def settings(self) -> Mapping[str, str | int | float]:
        """The settings that comparable evaluations share. The server is asked for its window, which bounds answers,
        unless that is set."""
        return {
            "backend": f"endpoint {self.service.settings.model} {self.service.settings.revision}".strip(),
            "constrained": str(self.service.settings.json_schema).lower(),
            "thinking": "on" if self.service.settings.thinking else "off",
            "window": self.service.window,
            "service": digest("service", *self.service.said)[:16],
        }

    def limit(self, wanted: int) -> int:
        """The token limit of an answer, as for the stages' planner: at most a share of a small window."""
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

        self.service.facts()  # llama.cpp needs the base named explicitly, which takes the facts
        request = ChatRequest(
            messages=tuple(messages), max_tokens=max_tokens, temperature=temperature, seed=seed, schema_=schema
        )
        [completion] = self._router.complete(self._stage, request)
        return completion.text

    @property
    def batch(self) -> int:
        """Questions per batch: the endpoint's concurrency."""
        return self.service.settings.concurrency

    def answer_many(self, questions: Sequence[Question], seed: int, temperature: float) -> list[str]:
        """The answers to questions that are asked concurrently. Raises as `answer` does."""

        def ask(question: Question) -> str:
            return self.answer(question.messages, question.max_tokens, seed, temperature, question.schema)

        with ThreadPoolExecutor(max(1, len(questions))) as pool:
            return list(pool.map(ask, questions))
