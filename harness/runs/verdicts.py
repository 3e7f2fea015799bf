"""Verdicts on changes, each reached once and stored in the database."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.runs.attempt import InstanceContext
from harness.validation.confirmation.recorded import TWINS_VERSION
from harness.validation.judge import JUDGE_VERSION, judge_candidate
from models.files import Overlay
from models.outcomes import Validation
from store.keys import digest, validation_key

if TYPE_CHECKING:
    from store.runs import RawStore

Judge = Callable[[Overlay], Validation]
"""The verdict on a change. Raises EnvironmentFault, WheelError and InfrastructureError."""


def stored_judge(store: "RawStore", instance_context: InstanceContext, instance: str) -> Judge:
    """A judge by the hidden tests that stores its verdicts. `instance` is an instance's key."""

    def judge(changes: Overlay) -> Validation:
        return judge_once(store, instance_context, instance, changes, verdict_key(instance_context, instance, changes))

    return judge


def judge_once(
    store: "RawStore", instance_context: InstanceContext, instance: str, changes: Overlay, key: str
) -> Validation:
    """The verdict that is stored under `key`, reached and stored now if there is none."""
    if (found := store.find_validation(key)) is not None:
        return found
    verdict, report = judge_candidate(
        instance_context.runtime, instance_context.package, instance_context.instance, changes, key
    )
    return store.store_validation(instance, verdict, report)


def verdict_key(instance_context: InstanceContext, instance: str, changes: Overlay) -> str:
    """The identity of the verdict on `changes`: of all that it rests on.

    The environment counts by its content instead of its name. Raises WheelError for a missing wheel.
    """
    files = {p: None if c is None else [c[0].decode("utf-8", "surrogateescape"), c[1]] for p, c in changes.items()}
    conditions = {
        "limits": instance_context.runtime.limits.model_dump(mode="json"),
        "sandbox": instance_context.runtime.sandbox.kind,
        "judge": JUDGE_VERSION,
        "twins": TWINS_VERSION,
    }
    environment = instance_context.package.identity_of(instance_context.instance)
    return validation_key(instance, digest("changes", files), environment, conditions)
