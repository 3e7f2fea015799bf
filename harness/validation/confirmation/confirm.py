"""Confirming a pass: sentinels and the watcher first, then the twins."""

import io
import json
import tokenize
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.packages.package import generated_tests
from harness.validation.confirmation.agreement import agree, first_difference, holds_fields, observations_agree
from harness.validation.confirmation.recorded import (
    GoldGuardEvents,
    KeptTwin,
    Module,
    TwinSet,
    choose,
    keep_recorded,
    modules_of,
    read_recorded,
    twins_key,
)
from harness.validation.judged_tree import JudgedRun, JudgedTree
from models.confirmation import Confirmation
from models.errors import EnvironmentFault, InfrastructureError
from models.manifest import Instance
from models.suite import SuiteEnd
from runtime.testing import Seen, file_of
from runtime.trees import Runtime

_QUICK = 2
"""Seconds that a twin may take on the gold patch to be kept."""
_PATIENT = 20
"""Seconds that a kept one may take on a candidate."""
CUT_SHORT = (SuiteEnd.TIMEOUT, SuiteEnd.CRASHED, SuiteEnd.OUTPUT_LIMIT)
_NOT_PYTHON = "only tests of Python can be varied"
_OTHER_SEED = 20_011  # of hashes, in the second of two runs that must agree


def confirm(judged: JudgedTree, run: JudgedRun, environment: str) -> Confirmation:
    """The evidence for or against the pass of a run.

    `environment` is the identity of the environment's content. Raises EnvironmentFault when the gold patch itself no
    longer passes, which no candidate is blamed for.
    """
    if seen := _unusual_events(judged, run, environment):
        return Confirmation(sentinels=run.sentinels, seen=tuple(seen))
    twins = twins_of(judged, environment)
    differing = _differing(judged, twins)
    return Confirmation(
        sentinels=run.sentinels,
        witnessed=len({twin.origin for twin in twins.kept}),
        twins=len(twins.kept),
        agreed=len(twins.kept) - len(differing),
        differs=_account(*differing[0]) if differing else "",
    )


def _unusual_events(judged: JudgedTree, run: JudgedRun, environment: str) -> list[str]:
    """Faults of the sentinels and events of the watcher, less those that the commit's own code causes too."""
    if run.seen is None:
        return [*run.forged, "the watcher of the run did not report"]
    if not run.seen and not run.forged:
        return []
    usual = _usual_of(judged, environment)
    forged = [what for what in run.forged if what not in usual.forged]
    return [*forged, *(str(event) for event in run.seen if event.place not in usual.places)]


def _usual_of(judged: JudgedTree, environment: str) -> GoldGuardEvents:
    """Events with the commit's own code, recorded now if not before. Raises EnvironmentFault."""
    folder, key = _place(judged, environment)
    if (found := read_recorded(GoldGuardEvents, folder, key)) is not None:
        return found
    gold = judged.at(judged.instance.commit).run()
    missed = set(judged.instance.fail_to_pass) - gold.report.passed
    if missed or gold.seen is None:
        what = min(missed, default="its own run")
        raise EnvironmentFault(f"{judged.instance.instance_id}: gold does not pass {what} any more; prepare it again")
    places = sorted({event.place for event in gold.seen})
    return keep_recorded(folder, key, GoldGuardEvents(places=tuple(places), forged=gold.forged))


def twins_of(judged: JudgedTree, environment: str) -> TwinSet:
    """The instance's twins, recorded now if not before. Raises EnvironmentFault."""
    folder, key = _place(judged, environment)
    if (found := read_recorded(TwinSet, folder, key)) is not None:
        return found
    return keep_recorded(folder, key, _record(judged))


def _place(judged: JudgedTree, environment: str) -> tuple[Path, str]:
    return place_of(judged.runtime, judged.instance, environment)


def place_of(runtime: Runtime, instance: Instance, environment: str) -> tuple[Path, str]:
    """The folder of records, and the key of the instance there."""
    conditions = {"limits": runtime.limits.model_dump(mode="json"), "sandbox": runtime.sandbox.kind}
    return runtime.scratch.parent / "twins", twins_key(instance, environment, conditions)


def _record(judged: JudgedTree) -> TwinSet:
    instance = judged.instance
    modules, twins = modules_of(instance, _sources(judged))
    tried = sum(not twin.is_base for twin in twins)
    if not modules:
        python = any(file_of(test).endswith(".py") for test in instance.fail_to_pass)
        return TwinSet(reason="the tests hold no literal that could be varied" if python else _NOT_PYTHON)
    gold, parent = judged.at(instance.commit), judged.at(instance.base_commit)
    first, again = _whole(gold, modules), _whole(gold, modules, _OTHER_SEED)
    kept = choose(twins, first, again, parent.observe(modules, _QUICK)[1])
    needed = {file_of(twin.id) for twin in kept}
    return TwinSet(
        modules=tuple(module for module in modules if module.path in needed),
        kept=tuple(kept),
        tried=tried,
        reason="" if kept else "no varied test is steady on the gold patch and tells it from its parent",
    )


def _whole(gold: JudgedTree, modules: Sequence[Module], hash_seed: int = 0) -> dict[str, Seen]:
    """Observations of twins on the gold patch. A run that was cut short is repeated, and counts if it crashes in both.

    Raises InfrastructureError for one that does not end in time: twins that did not run would be missing for good.
    """
    for attempt in (1, 2):
        end, seen = gold.observe(modules, _QUICK, hash_seed)
        if end not in CUT_SHORT or (attempt == 2 and end is SuiteEnd.CRASHED):
            return seen
    raise InfrastructureError(
        f"{gold.instance.instance_id}: the run of its varied tests on the gold patch ended with {end.value}; run it "
        "again when the machine is less busy, or raise limits.wall_seconds"
    )


def _sources(judged: JudgedTree) -> dict[str, str]:
    """The texts of the modules with FAIL_TO_PASS tests."""
    git, commit = judged.package.git, judged.instance.commit
    generated = generated_tests(judged.package, judged.instance)
    found: dict[str, str] = {}
    for path in sorted({file_of(test) for test in judged.instance.fail_to_pass}):
        given = generated.get(path)
        content = given[0] if given else git.read(commit, path)
        if content is not None and path.endswith(".py"):
            with suppress(SyntaxError, UnicodeDecodeError):
                found[path] = content.decode(tokenize.detect_encoding(io.BytesIO(content).readline)[0])
    return found


def _differing(judged: JudgedTree, twins: TwinSet) -> list[tuple[KeptTwin, Seen]]:
    """Twins whose observations differ here from those on the gold patch.

    Where some differ at first, all must agree in each of two further runs: random answers do not count.
    """
    if not twins.kept:
        return []
    states = any(holds_fields(text) for twin in twins.kept for text in twin.gold)
    ids = [twin.id for twin in twins.kept]

    def once() -> list[tuple[KeptTwin, Seen]]:
        _, seen = judged.observe(twins.modules, _PATIENT, only=ids, states=states)
        pairs = [(twin, seen.get(twin.id, Seen())) for twin in twins.kept]
        return [(twin, each) for twin, each in pairs if not agree(twin.gold, each)]

    return once() and (once() or once())


def _account(twin: KeptTwin, seen: Seen) -> str:
    """The first difference, in a line."""
    if len(seen) != len(twin.gold):
        return f"{twin} did not run to its end"
    pairs = ((one, other) for one, other in zip(twin.gold, seen, strict=True) if not agree((one,), (other,)))
    (_, expected), (ended, saw) = map(json.loads, next(pairs))
    for one, other in zip(expected, saw, strict=False):
        if not observations_agree(one, other):
            here, there = first_difference(one, other)
            return f"{twin} sees {_readable(there)}, with the gold patch {_readable(here)}"
    return f"{twin} ends with {ended}, with the gold patch it passes"


def _readable(value: Any) -> str:
    """A value recorded by the observer, for people."""
    plain = isinstance(value, list) and len(value) == 2 and isinstance(value[1], str)
    text = repr(value[1]) if plain else json.dumps(value)
    return text if len(text) <= 120 else f"{text[:120]}..."
