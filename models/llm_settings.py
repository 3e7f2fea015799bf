"""Settings of the models: where each is served, its price, and which one answers which stage.

    [models.endpoints.local]
    url = "http://127.0.0.1:8000/v1"
    model = "Qwen/Qwen3-4B"

    [models.roles]
    reasoning = "local"

A key is never written here: `api_key_env` names the environment variable that holds it.
"""

import re
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, JsonValue, StringConstraints, field_validator, model_validator

from models.edits import EditFormat
from models.judging import QuestionForm
from models.plans import Frozen
from models.protocols import Stage
from models.tokens import THINKING_TOKENS

EMBEDDED = "embedded"
RELEVANCE = "relevance"
"""The name of the relevance classifier, where a stage's model is named."""
CLASSIFIED_STAGES = frozenset({Stage.SCOPE, Stage.PRECISION})
"""Stages that the relevance classifier can answer."""
EMBEDDED_MODEL = "SmolLM2-135M-Instruct"
EMBEDDED_WINDOW = 8192
EMBEDDED_ANSWER = 384
"""Longest answer, in tokens: useful ones are shorter, and it generates about twenty tokens a second."""
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_KEY_LIKE = re.compile(r"(AKIA|ASIA)[A-Z0-9]{12,}|[A-Z0-9]{32,}")

EndpointName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+([_-][a-z0-9]+)*$")]
"""An endpoint's name, in lower case so that CRA_MODELS__ENDPOINTS__... reaches it."""


class Price(Frozen):
    """Prices per million tokens, in the currency of the run's caps."""

    input: float = Field(0.0, ge=0, description="prompt tokens")
    cached_input: float | None = Field(None, ge=0, description="prompt tokens the provider had cached; unset: as input")
    output: float = Field(0.0, ge=0, description="generated tokens, thinking included")

    def of(self, prompt: int, cached: int, completion: int) -> float:
        """Cost of a call with `prompt` tokens, `cached` of them cached, that generated `completion` tokens."""
        cached_price = self.input if self.cached_input is None else self.cached_input
        return ((prompt - cached) * self.input + cached * cached_price + completion * self.output) / 1_000_000


class Endpoint(Frozen):
    """A server that speaks the OpenAI protocol, and one base model on it."""

    url: str = Field(description='base URL, mostly ending in /v1; "embedded" is the model inside the process')
    model: str = Field(min_length=1, description="the server's name of the base model")
    revision: str = Field("", description="revision of the weights; change it when they change under the same name")
    base: str = Field("", description="name of the registered base it serves; its promoted adapters then answer here")
    api_key_env: str | None = Field(None, description="NAME of the environment variable with the key; unset: no key")
    window: int | None = Field(None, ge=256, description="context window in tokens; unset: the server is asked")
    tokenizer: str = Field("", description="path of a tokenizer.json; empty: the server's /tokenize, else an estimate")
    json_schema: bool | Literal["auto"] = Field("auto", description="constrain answers by JSON schema; auto: try it")
    concurrency: int = Field(8, ge=1, description="most concurrent calls; fewer while the server is overloaded")
    timeout: float = Field(600.0, gt=0, description="seconds for one whole answer, time to first token included")
    stall: float = Field(60.0, gt=0, description="seconds between two pieces of a streamed answer")
    attempts: int = Field(6, ge=1, description="attempts of a call before it fails")
    max_wait: float = Field(60.0, gt=0, description="most seconds between attempts; fail if asked to wait longer")
    price: Price = Field(default_factory=Price, description="prices, for the cost of a run and its cap")
    edit_format: EditFormat = Field(EditFormat.SEARCH_REPLACE, description="how this model writes changes to code")
    questions: QuestionForm = Field(
        default_factory=QuestionForm, description="how this model is asked to judge files and symbols, if it reasons"
    )
    answer_tokens: int | None = Field(None, ge=64, description="tokens of an answer at most; unset: what a stage needs")
    thinking: bool | None = Field(None, description="switch thinking on or off; unset: as the server has it")
    thinking_tokens: int = Field(
        THINKING_TOKENS, ge=0, description="tokens for thinking in addition to the answer, where it is on"
    )
    extra_body: dict[str, JsonValue] = Field(
        default_factory=dict, description="fields added to every request, for extensions of a provider"
    )

    @field_validator("url")
    @classmethod
    def _url_is_plain(cls, url: str) -> str:
        if url == EMBEDDED:
            return url
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError('give a URL that starts with http:// or https://, or "embedded"')
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("give the URL without user, password, query or fragment; api_key_env names the key")
        return url.rstrip("/")

    @field_validator("api_key_env")
    @classmethod
    def _names_a_variable(cls, name: str | None) -> str | None:
        if name is not None and (not _VARIABLE.fullmatch(name) or _KEY_LIKE.fullmatch(name)):
            raise ValueError(
                "give the NAME of an environment variable (capitals, digits, underscores), not the key itself"
            )
        return name

    @property
    def trace_tokens(self) -> int:
        """Tokens that an answer may have for its thinking, in addition to those of the answer."""
        return self.thinking_tokens if self.thinking else 0


class Roles(Frozen):
    """The student: which endpoint answers which kind of stage."""

    reasoning: str = Field(EMBEDDED, description="endpoint for analysis, retrieval, plans and adjustment")
    coding: str = Field(EMBEDDED, description="endpoint for code")
    generalist: str | None = Field(None, description="endpoint with a full window, for prompts the others cannot take")


class Teachers(Frozen):
    """The teachers, by use. An unset one falls back to `reasoning`, which a teacher run needs."""

    reasoning: str | None = Field(None, description="endpoint for analysis, retrieval and adjustment")
    planning: str | None = Field(None, description="endpoint for the three plans, with thinking; unset: reasoning")
    coding: str | None = Field(None, description="endpoint for code; unset: reasoning")
    check: str | None = Field(None, description="endpoint of a second teacher that answers the plan stages again")


class ModelSettings(Frozen):
    """All settings of models."""

    endpoints: dict[EndpointName, Endpoint] = Field(
        default_factory=dict, description="servers, by a name of your choice"
    )
    roles: Roles = Field(default_factory=Roles, description="the student")
    teachers: Teachers = Field(default_factory=Teachers, description="the teachers")
    overrides: dict[Stage, str] = Field(
        default_factory=dict,
        description="stage = name of an adapter (or model) on the student's endpoint; empty: the base alone; "
        "relevance (scope, precision): the relevance classifier",
    )
    windows: dict[Stage, Annotated[int, Field(ge=256)]] = Field(
        default_factory=dict, description="stage = tokens of its window, for the student and for gold; unset: as built"
    )

    @model_validator(mode="before")
    @classmethod
    def _embedded_keeps_its_own(cls, data: Any) -> Any:
        """Keys of [models.endpoints.embedded] that are not given keep their built-in values."""
        endpoints = data.get("endpoints") if isinstance(data, dict) else None
        if not isinstance(endpoints, dict):
            return data
        own = endpoints.get(EMBEDDED)
        if not isinstance(own, dict) or own.get("url", EMBEDDED) != EMBEDDED:
            return data
        return {**data, "endpoints": {**endpoints, EMBEDDED: embedded_endpoint().model_dump() | own}}

    @model_validator(mode="after")
    def _roles_name_endpoints(self) -> Self:
        known = sorted({EMBEDDED, *self.endpoints})
        for group in ("roles", "teachers"):
            for use, name in getattr(self, group):
                if name is not None and name not in known:
                    raise ValueError(
                        f"models.{group}.{use} names the endpoint {name!r}, which is not under [models.endpoints]; "
                        f"there are: {', '.join(known)}"
                    )
        if RELEVANCE in self.endpoints:
            raise ValueError(f"models.endpoints.{RELEVANCE} bears the relevance classifier's name; give it another one")
        for stage, name in self.overrides.items():
            if name == RELEVANCE and stage not in CLASSIFIED_STAGES:
                raise ValueError(
                    f"models.overrides.{stage.value} names the relevance classifier, which answers only "
                    f"{' and '.join(sorted(CLASSIFIED_STAGES))}"
                )
        own = self.endpoints.get(EMBEDDED)
        if own is not None and own.url != EMBEDDED:
            raise ValueError(
                f"models.endpoints.{EMBEDDED} is the model inside the process; give {own.url} another name"
            )
        return self

    @property
    def question_form(self) -> QuestionForm:
        """How files and symbols are asked about: as suits the student, who is trained on all answers."""
        return self.endpoint(self.roles.reasoning).questions

    def endpoint(self, name: str) -> Endpoint:
        """The endpoint of that name; the embedded one need not be configured."""
        return self.endpoints[name] if name in self.endpoints else embedded_endpoint()


def embedded_endpoint() -> Endpoint:
    """The small model inside the process: it edits whole symbols, and has one slow slot."""
    return Endpoint(
        url=EMBEDDED,
        model=EMBEDDED_MODEL,
        window=EMBEDDED_WINDOW,
        concurrency=1,
        timeout=1800.0,
        stall=300.0,
        edit_format=EditFormat.WHOLE_SYMBOL,
        answer_tokens=EMBEDDED_ANSWER,
    )
