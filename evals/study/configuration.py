"""What a finished study was asked: a run that asks anything else does not replace it.

Questions, fits and answers are kept under keys of what they depend on, so that different studies can share them;
study.json has one name, and holds what it was asked.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import Field

from evals.study.files import read_value
from evals.study.plan import StudyRepositories, StudySettings
from models.errors import UsageError
from models.plans import Frozen
from models.targets import TrainingTarget

SHOWN = 3
"""Differences that a message names."""


class StudyConfiguration(Frozen):
    """All that figures of a study depend on.

    repositories: by part, the commit that each is read at. classifier: the content hash of the relevance classifier.
    models: the identity of each model that is asked, by name. learner: that of what trains on the learning curve.
    kind: what is studied; it is not written where that is scope, the only kind that there was at first.
    """

    kind: str = Field(default=TrainingTarget.SCOPE.value, exclude_if=lambda kind: kind == TrainingTarget.SCOPE.value)
    settings: StudySettings
    repositories: dict[str, dict[str, str]]
    classifier: str
    models: dict[str, str]
    learner: str | None


class FinishedStudy(Frozen, extra="ignore"):
    """The part of study.json that says what was asked."""

    configuration: StudyConfiguration


def commits_by_part(repositories: StudyRepositories) -> dict[str, dict[str, str]]:
    """The commit of each repository, by part."""
    return {part: {each.name: each.head for each in members} for part, members in repositories.parts()}


def check_same(path: Path, wanted: StudyConfiguration) -> None:
    """Raise UsageError if the finished study at `path` was asked anything else; EvaluationError if it is unreadable."""
    if not path.exists():
        return
    found = list(_differences(read_value(path, FinishedStudy).configuration, wanted))
    if not found:
        return
    more = f", and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    raise UsageError(
        f"{path} is of another study: {', '.join(found[:SHOWN])}{more}; give another --out, or remove the file to "
        "replace it (questions, fits and answers beside it are used again)"
    )


def _differences(kept: StudyConfiguration, wanted: StudyConfiguration) -> Iterator[str]:
    """Each difference as NAME was X, is Y."""
    if kept.kind != wanted.kind:
        yield f"what is studied was {kept.kind}, is {wanted.kind}"
    yield from _changes(kept.settings, wanted.settings)
    for part, members in kept.repositories.items():
        yield from _members(part, members, wanted.repositories[part])
    if kept.classifier != wanted.classifier:
        yield f"the relevance classifier was {kept.classifier[:12]}, is {wanted.classifier[:12]}"
    if sorted(kept.models) != sorted(wanted.models):
        yield f"the models asked were {_text(sorted(kept.models))}, are {_text(sorted(wanted.models))}"
    for name in sorted(kept.models.keys() & wanted.models.keys()):
        if kept.models[name] != wanted.models[name]:
            yield f"{name} is another model of that name, or is asked otherwise"
    if (kept.learner is None) != (wanted.learner is None):
        yield "adapters were trained, and are not" if kept.learner else "no adapter was trained, and some are (--train)"
    elif kept.learner != wanted.learner:
        yield "adapters were trained from another base or by other settings"


def _changes(before: StudySettings, after: StudySettings) -> Iterator[str]:
    for name in StudySettings.model_fields:
        was, now = _text(getattr(before, name)), _text(getattr(after, name))
        if was != now:
            yield f"{name} was {was}, is {now}"


def _members(part: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    if gone := sorted(before.keys() - after.keys()):
        yield f"{part} lacks {_text(gone)}"
    if new := sorted(after.keys() - before.keys()):
        yield f"{part} has {_text(new)} besides"
    for name in sorted(before.keys() & after.keys()):
        if before[name] != after[name]:
            yield f"{name} was read at {before[name][:10]}, is at {after[name][:10]}"


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(str, value)) or "none"
    return str(value)
