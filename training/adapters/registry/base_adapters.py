"""What a change of the base that a role uses does to the active adapters of that role, in the caller's transaction."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from models.training import Role
from store.learning.adapters import AdapterVersion, move, serving
from store.learning.base_decisions import LoggedBaseDecision
from store.learning.promotions import RegistryDecision, log_decision
from training.adapters.registry.base_evidence import targets_of
from training.adapters.registry.registry import Registry
from training.bases.bases import Base

if TYPE_CHECKING:
    from store.database import Connection

Versions = tuple[AdapterVersion, ...]


def stop_adapters(connection: "Connection", adapters: Registry, role: Role, chosen: Base, reason: str) -> Versions:
    """Deactivate the adapters of other bases than the chosen one, and log it; returns them."""
    stopped = []
    for target in targets_of(role):
        champion = serving(connection, target)
        active = None if champion is None else adapters.show(champion)
        if active is None or active.base == chosen.id:
            continue
        move(connection, target, None)
        notes = f"{reason}: {active.base_name} is superseded by {chosen.name}"
        log_decision(connection, RegistryDecision(target, "adopt", active.id, notes, base=chosen.id))
        stopped.append(active)
    return tuple(stopped)


def restore_adapters(
    connection: "Connection",
    adapters: Registry,
    role: Role,
    base: Base | None,
    undone: Sequence[LoggedBaseDecision],
    reason: str,
) -> tuple[Versions, Versions]:
    """Deactivate a role's adapters of other bases, and activate those that the decisions undone took out of service.
    `base` None: any may be used. Returns those deactivated and those activated."""
    wanted = None if base is None else base.id
    ended = [adapters.show(adapter) for row in undone for adapter in row.stopped]
    fit = [each for each in ended if wanted in (None, each.base) and not adapters.unfit(each.id, wanted)]
    stopped, restored = list[AdapterVersion](), list[AdapterVersion]()
    for target in targets_of(role):
        champion = serving(connection, target)
        active = None if champion is None else adapters.show(champion)
        again = next((each for each in fit if each.target is target), None)
        if again is None and (active is None or wanted in (None, active.base)):
            continue
        if active is not None and active.base == wanted:
            continue
        move(connection, target, None if again is None else again.id)
        log_decision(connection, RegistryDecision(target, "rollback", active.id if active else None, f"base: {reason}"))
        stopped += [] if active is None else [active]
        restored += [] if again is None else [again]
    return tuple(stopped), tuple(restored)
