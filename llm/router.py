"""Choice of the model for a stage: override, else promoted adapter, else the role's base; and whether the prompt fits.

Code belongs to the coding role, every other stage to the reasoning role; among teachers the plans and their adjustment
may have an endpoint of their own. An override names an adapter (or another model) on the student's endpoint of that
role; without one, a promoted adapter answers where its own base is served, from the next call on. A prompt too long
for its model is refused with the numbers; a caller may put it to the generalist, if there is one, and says why.

Scope and precision may be answered by the relevance classifier instead: where an override names it, and where the
model in the process would answer with neither override nor adapter, as it cannot.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from llm.background import wait_for
from llm.chat import ChatRequest, Completion
from llm.class_bias import bias_fields
from llm.meter import Meter
from llm.neutral import neutral, restored
from llm.service import Service, open_service
from llm.tokens import MESSAGE_FRAME, PROMPT_FRAME
from models.class_bias import ClassBias
from models.edits import EditFormat
from models.errors import PromptTooLong, SettingsError
from models.llm_settings import CLASSIFIED_STAGES, EMBEDDED, RELEVANCE, ModelSettings
from models.protocols import Stage
from models.tokens import SMALLEST_SHARE, WINDOWS, estimate_tokens

if TYPE_CHECKING:
    from store.active_adapters import Aliases

Team = Literal["student", "teacher"]
PLANNING = frozenset({Stage.META_PLAN, Stage.PART_PLAN, Stage.TEST_PLAN, Stage.ADJUSTMENT})


@dataclass(frozen=True)
class Route:
    """The model of a stage: a service, the window it may use, and the choice of adapter: an override ("": the base
    alone), else `promoted`, which is called for every request."""

    service: Service
    stage_window: int | None
    override: str | None = None
    promoted: Callable[[], str | None] | None = None
    classifies: bool = False
    """Whether the relevance classifier answers where no adapter does and no override says otherwise."""
    biased: Callable[[str], ClassBias | None] | None = None
    """The class bias of an adapter by its served name; None: no adapter has one."""

    @property
    def classified(self) -> bool:
        """Whether the relevance classifier answers now."""
        if self.override is not None:
            return self.override == RELEVANCE
        return self.classifies and self.adapter is None

    @property
    def adapter(self) -> str | None:
        """The adapter that answers now; None: the base model, or the classifier."""
        if self.override is not None:
            return self.override if self.override not in ("", RELEVANCE) else None
        return self.promoted() if self.promoted is not None else None

    def bias(self, adapter: str | None) -> ClassBias | None:
        """The class bias of an adapter; None: it has none, or the base answers."""
        return None if adapter is None or self.biased is None else self.biased(adapter)

    @property
    def limit(self) -> int:
        """Tokens of prompt and answer together; thinking is taken from what the stage leaves of the window."""
        window = self.service.window - self.service.settings.trace_tokens
        return window if self.stage_window is None else min(window, self.stage_window)

    def max_prompt_tokens(self, answer_tokens: int) -> int:
        """Most tokens of a prompt's texts, with `answer_tokens` reserved, but never more than half of the window."""
        return self.limit - min(answer_tokens, self.limit // 2) - PROMPT_FRAME

    def max_output_tokens(self, wanted: int) -> int:
        """Most tokens of an answer: `wanted`, within the endpoint's limit, and at most a share of the window."""
        fair = min(wanted, self.max_prompt_tokens(0) // SMALLEST_SHARE)
        most = self.service.settings.answer_tokens
        return fair if most is None else min(fair, most)

    def count(self, text: str) -> int:
        """Tokens of a text as sent, framing not counted."""
        return self.service.counter.text(self.service.control.neutralise(text))


@dataclass(frozen=True)
class Fitted:
    """A request that fits its route: its prompt's tokens, and its answer shortened to what the window leaves."""

    route: Route
    request: ChatRequest
    prompt_tokens: int


@dataclass(frozen=True)
class Router:
    """The models of one team. Thread-safe; calls block until the answer arrives."""

    routes: dict[Stage, Route]
    generalist: Route | None = None
    meter: Meter = field(default_factory=Meter)
    second: "Router | None" = None
    """A second teacher that answers the planning stages again to cross-check the first; None if there is none."""

    def max_prompt_tokens(self, stage: Stage, answer_tokens: int) -> int:
        """Most tokens of a prompt of a stage, with `answer_tokens` reserved, but never more than half of the window."""
        return self.routes[stage].max_prompt_tokens(answer_tokens)

    def max_output_tokens(self, stage: Stage, wanted: int) -> int:
        """Most tokens of a stage's answer: what it wants, within the limits of its model."""
        return self.routes[stage].max_output_tokens(wanted)

    def count(self, stage: Stage, text: str) -> int:
        """Tokens of a text as sent to the stage's model, framing not counted."""
        return self.routes[stage].count(text)

    @property
    def classified(self) -> frozenset[Stage]:
        """Stages that the relevance classifier answers now."""
        return frozenset(stage for stage, route in self.routes.items() if route.classified)

    def edit_format(self, stage: Stage) -> EditFormat:
        """The format in which the stage's model writes changes to code."""
        return self.routes[stage].service.settings.edit_format

    @property
    def concurrency(self) -> int:
        """Concurrent calls that the endpoints accept, all together."""
        services = {id(route.service): route.service for route in self.routes.values()}
        return sum(service.settings.concurrency for service in services.values())

    @property
    def identity(self) -> str:
        """A hash that changes whenever the answers may: models, revisions, adapters, windows. Servers without a
        configured window are asked for it; raises ProviderError if that fails."""
        lines = [f"{stage.value}: {_who(route)}" for stage, route in sorted(self.routes.items())]
        lines += (
            [f"generalist after all attempts, with answers of its own size: {_who(self.generalist)}"]
            if self.generalist
            else []
        )
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def complete(self, stage: Stage, request: ChatRequest) -> list[Completion]:
        """The `n` answers of the stage's model.

        Raises PromptTooLong (with the numbers) if it does not accept the prompt, CapReached if the run may spend no
        more, ProviderError if the model could not be reached.
        """
        route = self.routes[stage]
        return self._ask(_fit(stage, route, neutral(request, route.service.control)))

    @property
    def falls_back(self) -> bool:
        """Whether there is a generalist."""
        return self.generalist is not None

    def generalist_prompt_tokens(self, answer_tokens: int) -> int:
        """Most tokens of a prompt's texts for the generalist, with `answer_tokens` reserved for the answer."""
        return self._whole.max_prompt_tokens(answer_tokens)

    def generalist_output_tokens(self, wanted: int) -> int:
        """Most tokens of the generalist's answer, within its own limits."""
        return self._whole.max_output_tokens(wanted)

    def generalist_count(self, text: str) -> int:
        """Tokens of a text as sent to the generalist, framing not counted."""
        return self._whole.count(text)

    def complete_by_generalist(self, stage: Stage, request: ChatRequest, why: str) -> list[Completion]:
        """The generalist's `n` answers with the reason why it was asked.

        Raises as `complete` does, and ValueError without a generalist.
        """
        answers = self._ask(_fit(stage, self._whole, neutral(request, self._whole.service.control)))
        return [answer.model_copy(update={"fallback": why}) for answer in answers]

    @property
    def _whole(self) -> Route:
        if self.generalist is None:
            raise ValueError("there is no generalist; name an endpoint as [models.roles] generalist")
        return self.generalist

    def cross_check(self, stage: Stage, request: ChatRequest) -> Completion | None:
        """The second teacher's answer to a planning stage; None without a second teacher, or for another stage.

        Raises as `complete` does.
        """
        if self.second is None or stage not in PLANNING:
            return None
        [completion] = self.second.complete(stage, request)
        return completion

    def _ask(self, fitted: Fitted) -> list[Completion]:
        from llm.structured_output import Ask

        service, request = fitted.route.service, fitted.request
        adapter = fitted.route.adapter  # read once: a promotion may change it
        model, extra = service.adapter_fields(adapter)
        if bias := fitted.route.bias(adapter):
            extra = extra | bias_fields(bias, service.settings, service.facts().dialect, request.schema_)
        completion = (request.max_tokens + service.settings.trace_tokens) * request.n
        cost = service.settings.price.of(fitted.prompt_tokens, 0, completion)
        with self.meter.aside(fitted.prompt_tokens + completion, cost):
            ask = Ask(model, request, fitted.prompt_tokens, self.meter.add, adapter, extra)
            answers = wait_for(service.client.complete(ask))
        return [restored(answer, request, service.control) for answer in answers]


def _who(route: Route) -> str:
    if route.classified:
        return RELEVANCE
    adapter = route.adapter
    bias = route.bias(adapter)
    return (
        f"{route.service.identity} adapter {adapter} edits {route.service.settings.edit_format.value} "
        f"window {route.stage_window}{f' class bias {bias.identity}' if bias and bias.active else ''}"
    )


def _fit(stage: Stage, route: Route, request: ChatRequest) -> Fitted:
    """The request, checked against the route's window. Raises PromptTooLong."""
    limit = route.limit
    least = min(request.max_tokens, limit // 2)
    sizes = [len(message.content.encode(errors="surrogatepass")) + MESSAGE_FRAME for message in request.messages]
    if sum(sizes) + PROMPT_FRAME + request.max_tokens <= limit:  # a token has at least one byte: no need to count
        prompt = PROMPT_FRAME + sum(estimate_tokens(message.content) for message in request.messages)
        return Fitted(route, request, prompt)
    prompt = route.service.counter.prompt(request.messages)
    if prompt + least > limit:
        raise PromptTooLong(
            f"a prompt of stage {stage.value} has {prompt} tokens and its answer needs {least}, together more than the "
            f"{limit} of endpoint {route.service.name!r}; name an endpoint with a larger window as "
            "[models.roles] generalist, or make the task smaller"
        )
    return Fitted(route, request.model_copy(update={"max_tokens": min(request.max_tokens, limit - prompt)}), prompt)


def open_router(
    models: ModelSettings, team: Team, meter: Meter | None = None, aliases: "Aliases | None" = None
) -> Router:
    """The router of a team, made without any traffic. The student's follows `aliases`: which adapters are promoted.

    Raises SettingsError if no teacher is set, a key's variable is not set, or the embedded model is not installed.
    """
    meter = meter or Meter()
    if team == "student":
        roles = models.roles
        routes = {
            stage: _route(models, roles.coding if stage is Stage.CODE else roles.reasoning, stage, aliases)
            for stage in Stage
        }
        whole = None if roles.generalist is None else Route(_service(models, roles.generalist), None)
        return Router(routes, whole, meter)
    routes = {stage: Route(_service(models, teacher_endpoint(models, stage)), WINDOWS[stage]) for stage in Stage}
    second = None
    if models.teachers.check is not None:
        check = _service(models, models.teachers.check)
        second = Router(routes | {stage: Route(check, WINDOWS[stage]) for stage in PLANNING}, None, meter)
    return Router(routes, None, meter, second)


def teacher_endpoint(models: ModelSettings, stage: Stage) -> str:
    """The name of the teacher's endpoint for a stage. Raises SettingsError if no teacher is set."""
    teachers = models.teachers
    if teachers.reasoning is None:
        raise SettingsError("no teacher is set; name an endpoint as `reasoning` under [models.teachers]")
    if stage is Stage.CODE:
        return teachers.coding or teachers.reasoning
    return (teachers.planning or teachers.reasoning) if stage in PLANNING else teachers.reasoning


def open_endpoint(models: ModelSettings, name: str, meter: Meter | None = None) -> Router:
    """A router to the base of one endpoint, for every stage, with its whole window; made without any traffic.

    Raises SettingsError for an endpoint that is not configured, and as `open_router` does.
    """
    if name not in {EMBEDDED, *models.endpoints}:
        known = ", ".join(sorted({EMBEDDED, *models.endpoints}))
        raise SettingsError(f"endpoint {name!r} is not under [models.endpoints]; there are: {known}")
    route = Route(_service(models, name), None, "")
    return Router(dict.fromkeys(Stage, route), None, meter or Meter())


def _service(models: ModelSettings, name: str) -> Service:
    return open_service(name, models.endpoint(name))


def _route(models: ModelSettings, name: str, stage: Stage, aliases: "Aliases | None") -> Route:
    endpoint = models.endpoint(name)
    promoted = None if aliases is None else aliases.resolver(stage, endpoint.base)
    classifies = endpoint.url == EMBEDDED and stage in CLASSIFIED_STAGES
    window = models.windows.get(stage, WINDOWS[stage])
    biased = None if aliases is None else aliases.class_bias
    return Route(_service(models, name), window, models.overrides.get(stage), promoted, classifies, biased)
