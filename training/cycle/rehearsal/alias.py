"""The step of a rehearsal that promotes its adapter and rolls it back, with an answer of the serving path each time."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from models.errors import NotOperational
from store.active_adapters import Aliases
from training.adapters.export.serving import make_ready
from training.adapters.registry import AdapterVersion
from training.bases.bases import find_base
from training.cycle.context import TrainingContext
from training.cycle.rehearsal.checks import Outcome, serving
from training.cycle.rehearsal.served_answers import ServedAnswer
from training.cycle.rehearsal.workspace import REASON, TARGET

PROMOTED, ROLLED_BACK = 0, 1
"""Numbers of the two questions: with the adapter promoted, and after its rollback."""


class AskedPath(Protocol):
    """The serving path, as `served_answers.ServingPath` has it."""

    def gap(self, version: AdapterVersion) -> str:
        """Why an adapter cannot be asked; empty if it can."""
        ...

    def ask(self, sample: int) -> ServedAnswer:
        """Who answered the question of this number."""
        ...

    def effect(self, version: AdapterVersion) -> float | None:
        """The adapter's effect on the endpoint's probabilities."""
        ...


class _Answers(NamedTuple):
    """The answer with the adapter promoted, that after its rollback, and the adapter's effect in nats."""

    promoted: ServedAnswer
    rolled_back: ServedAnswer
    effect: float | None


def move_alias(context: TrainingContext, adapter: str, before: Mapping[str, str], path: AskedPath) -> Outcome:
    """Let the adapter serve, ask the serving path, roll back, and ask it again.

    A warning where the configured server cannot load the adapter. Raises NotOperational if anything else than it
    answered while it was promoted, or if afterwards anything else serves or answers than before.
    """
    registry = context.registry
    version = registry.show(adapter)
    gap = path.gap(version)
    decisions = [entry.action for entry in registry.log(TARGET) if entry.adapter == version.id]
    if decisions[-1:] != ["rollback"]:
        if registry.active(TARGET) is None or not registry.show(adapter).active:
            make_ready(context.curated, context.settings, version, find_base(context.curated, version.base))
            registry.promote(version, override=REASON)
        _require_served(context, version.served)
        if not gap:
            path.ask(PROMOTED)
        registry.rollback(TARGET, REASON)
    after = serving(context.curated)
    if after != dict(before):
        raise NotOperational(f"after a rollback {after} serves, and before {dict(before)}; see `cra adapters log`")
    actions = [entry.action for entry in registry.log(TARGET) if entry.adapter == version.id]
    figures: dict[str, Any] = {"before": dict(before), "after": after, "actions": actions}
    if gap:
        why, _, remedy = gap.rpartition("; ")
        found = f"{version.name} was promoted and rolled back in the table; no server was asked, as {why}"
        return Outcome((found,), figures, "warning", remedy)
    serves = before.get(TARGET.value) or "the base alone"
    answers = _Answers(path.ask(PROMOTED), path.ask(ROLLED_BACK), path.effect(version))
    _require_answers(answers, version, _expected(context, version, before))
    return _found(answers, version, serves, figures)


def _expected(context: TrainingContext, version: AdapterVersion, before: Mapping[str, str]) -> str:
    """The adapter that answers after the rollback: the one before, if it is on the same base, as routers want it."""
    active = context.registry.active(TARGET)
    return before.get(TARGET.value, "") if active is not None and active.base == version.base else ""


def _require_answers(answers: _Answers, version: AdapterVersion, expected: str) -> None:
    """Raise NotOperational unless the rows say that the adapter answered, and then the one before it."""
    for answer, wanted, when in (
        (answers.promoted, version.served, f"while {version.name} was promoted"),
        (answers.rolled_back, expected, "after the rollback"),
    ):
        if answer.adapter != wanted:
            raise NotOperational(
                f"{when} {_named(answer.adapter)} answered, and not {_named(wanted)}; see "
                f"`cra trace {answer.trajectory[:12]}` with the rehearsal's data directory"
            )


def _found(answers: _Answers, version: AdapterVersion, serves: str, figures: dict[str, Any]) -> Outcome:
    promoted, then, effect = answers
    figures |= {
        "endpoint": promoted.endpoint,
        "model": promoted.model,
        "promoted": {"adapter": promoted.adapter, "trajectory": promoted.trajectory},
        "rolled_back": {"adapter": then.adapter, "trajectory": then.trajectory},
        "same_text": promoted.text == then.text,
        "effect_nats": effect,
    }
    same = "the same words" if figures["same_text"] else "other words"
    where = f"endpoint {promoted.endpoint!r}"
    found = (
        f"{version.name} was promoted, and {_named(promoted.adapter)} answered a question of {TARGET.value} at {where}",
        f"it was rolled back, and {_named(then.adapter)} answered the same question, in {same}; {serves} serves again",
    )
    if effect is None:
        missing = f"{where} reports no probabilities, so that the requests alone say who answered"
        return Outcome((*found, missing), figures, "warning", "ask vLLM or llama.cpp, which report them")
    return Outcome((*found, f"it changes the probabilities there by {effect:.6f} nats on average"), figures)


def _named(adapter: str) -> str:
    return adapter or "the base alone"


def _require_served(context: TrainingContext, served: str) -> None:
    [stage] = TARGET.stages
    alias = Aliases(context.settings.curated_url).table().get(stage)
    if alias is None or alias.served != served:
        seen = "the base alone" if alias is None else alias.served
        raise NotOperational(f"{served} was promoted, and routers see {seen}; restore the curated database")
