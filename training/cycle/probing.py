"""Probing a registered base in this process, or a served model at its endpoint.

Answers are kept by repository where it is known which weights gave them.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from evals.positions.curves import ProbeResult, Scored, answered
from evals.positions.probes import ProbeSettings, probes_of
from evals.scoring import Answerer
from host.files import write_whole
from models.chat import Message
from models.errors import RegistryError, UsageError
from models.protocols import Stage
from models.settings import Settings
from training.cycle.seen_repositories import require_unseen, seen_repositories
from training.windows.texts import CodeSource

_SCORES = TypeAdapter(tuple[Scored, ...])
VERSION = 2
"""Raised when probes or their scores change."""


@dataclass(frozen=True)
class ProbedModel:
    """A model to probe: `id` identifies what answers (None: nothing tells, so no answer is kept); `load` gives its
    answerer and a counter of a prompt's tokens; `check` raises UsageError if it was trained on one of the repositories;
    `unknown` names what of its training is not known."""

    name: str
    id: str | None
    window: int
    load: Callable[[], tuple[Answerer, Callable[[Sequence[Message]], int]]]
    check: Callable[[Sequence[CodeSource]], None]
    unknown: tuple[str, ...]


def open_model(settings: Settings, name: str) -> ProbedModel:
    """A base by its name or id, else an endpoint of the settings. Nothing is loaded yet.

    Raises UsageError if it is neither, RegistryError for a tuned base without its statement, and what asking an
    endpoint for its window raises.
    """
    from store.database import open_database
    from store.runs import open_raw_store
    from training.bases.bases import find_base

    curated = open_database(settings.curated_url, "curated")
    try:
        base = find_base(curated, name)
    except RegistryError as error:
        if name not in settings.models.endpoints:
            raise UsageError(f"{name!r} is no endpoint in the settings, and {error}") from error
        return _endpoint(settings, name)
    raw = open_raw_store(settings.raw_url).engine
    seen = seen_repositories(curated, raw, base)

    def load() -> tuple[Answerer, Callable[[Sequence[Message]], int]]:
        from training.cycle.local_answers import LocalAnswerer

        answerer = LocalAnswerer(base.path, base.name, thinking=False)
        return answerer, answerer.count

    def check(sources: Sequence[CodeSource]) -> None:
        require_unseen(base.name, seen.repositories, raw, sources)

    return ProbedModel(base.name, base.id, int(base.facts["window"]), load, check, seen.unknown)


def _endpoint(settings: Settings, name: str) -> ProbedModel:
    from llm.service import open_service
    from training.cycle.served import EndpointAnswerer

    service = open_service(name, settings.models.endpoint(name))
    _, weights = service.said
    identity = json.dumps([name, service.settings.model_dump(mode="json"), weights], sort_keys=True)

    return ProbedModel(
        name,
        identity if weights else None,  # another model may serve at the same address under the same name
        service.window,
        lambda: (EndpointAnswerer(service, Stage.CODE), service.counter.prompt),
        lambda sources: None,
        (f"the training of what endpoint {name} serves",),
    )


def probe(
    model: ProbedModel,
    asked: ProbeSettings,
    sources: Sequence[CodeSource],
    folder: Path,
    told: Callable[[str], None],
) -> ProbeResult:
    """The scores of a model on the probes of repositories; those known are read. `told` gets each name when done.

    Raises UsageError if the model was trained on one of them.
    """
    model.check(sources)
    loaded: tuple[Answerer, Callable[[Sequence[Message]], int]] | None = None
    scores: list[Scored] = []
    for source in sources:
        file = None if model.id is None else folder / f"{_key(model.id, asked, source)}.json"
        known = None if file is None else _read(file)
        if known is None:
            loaded = loaded or model.load()
            answerer, count = loaded
            probes = list(probes_of(source.name, source.git, source.commit, asked, count))
            known = tuple(answered(answerer, probes))
            if file is not None:
                write_whole(file, _SCORES.dump_json(known).decode() + "\n")
        scores += known
        told(source.name)
    return ProbeResult(model=model.name, settings=asked, scores=tuple(scores))


def _key(model: str, asked: ProbeSettings, source: CodeSource) -> str:
    parts = [VERSION, model, asked.model_dump(mode="json"), source.name, source.commit]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


def _read(file: Path) -> tuple[Scored, ...] | None:
    try:
        return _SCORES.validate_json(file.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
