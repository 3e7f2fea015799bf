"""The base that each role uses: tuned bases are candidates until a gate's report, or a person, lets them in.

    register   a tuned base gets a content-addressed directory, a signed statement and a number; it does not serve
    note       a gate's report on a candidate is logged
    promote    the role uses it from now on, by a gate's report or a person's reason
    adopt      a person takes any base into use, also one that was not tuned here: a promotion past the gate
    rollback   the role uses the base before it again, with the adapters that were active on it

A change of base and of the adapters that it ends or brings back is one transaction (compare-and-set).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from models.base_evaluation import BaseReport, ForgettingBounds
from models.errors import GuardrailError, RegistryError, UsageError
from models.training import Role
from store.learning.adapters import AdapterVersion, deciding
from store.learning.base_decisions import (
    BaseDecision,
    LoggedBaseDecision,
    base_in_use,
    base_log,
    bases_before,
    log_base_decision,
    read_base_log,
    undone_by,
)
from training.adapters.registry.base_adapters import restore_adapters, stop_adapters
from training.adapters.registry.base_evidence import BASE_GATE, check_base_report, last_report, newest_sets, targets_of
from training.adapters.registry.base_statement import (
    BaseLineage,
    check_intact,
    check_tuned_base,
    read_base_statement,
    role_of,
    write_base_statement,
)
from training.adapters.registry.registry import Registry
from training.adapters.registry.signing import sign
from training.adapters.registry.succession import in_use
from training.bases.bases import PARENT, Base, add_base, find_base, free_name, list_bases
from training.bases.windows import has_smaller_window

if TYPE_CHECKING:
    from store.database import Connection, Engine

ROLES: tuple[Role, ...] = ("reasoning", "coding")


class BaseChange(NamedTuple):
    """A change of the base that a role uses: the one before and after (None: none, so that any may be used), and the
    adapters that were taken out of service or brought back."""

    role: Role
    before: Base | None
    now: Base | None
    stopped: tuple[AdapterVersion, ...] = ()
    restored: tuple[AdapterVersion, ...] = ()


class BaseRegistry:
    """Tuned bases under `data_dir`, and the base of each role, recorded in a curated database."""

    def __init__(self, curated: "Engine", data_dir: Path) -> None:
        self._curated, self._data_dir = curated, data_dir
        self._adapters = Registry(curated, data_dir)
        self.keys = self._adapters.keys

    def register(
        self,
        source: Path,
        role: Role,
        parent: Base,
        *,
        dataset: str,
        datasets: Sequence[str],
        job: str,
        config: Mapping[str, Any],
        code_revision: str,
        window: int | None = None,
    ) -> Base:
        """Register the result of a full fine-tune as a candidate, `{role}-base-v{N}` with the next number. It does not
        serve, and adapters of other bases stay as they are. Idempotent for the same weights.

        Raises UsageError as `add_base` does, and if the weights are those of another base.
        """
        name, version = free_name(self._curated, role, window)
        lineage = BaseLineage(
            role=role,
            base="",
            parent=parent.id,
            parent_name=parent.name,
            dataset=dataset,
            datasets=tuple(datasets),
            plan=job,
            config=dict(config),
            code_revision=code_revision,
            trained_at=datetime.now(UTC),
        )

        def seal(directory: Path, base: Base) -> Base:
            write_base_statement(directory, lineage.model_copy(update={"base": base.id}))
            sign(directory, self.keys)
            return base._replace(facts=base.facts | {PARENT: parent.id} | dict(config))

        return add_base(self._curated, self._data_dir, source, name, role=role, version=version, seal=seal)

    def in_use(self, role: Role) -> Base | None:
        """The base that a role uses; None if none was promoted or adopted."""
        return in_use(self._curated, role)

    def champion(self, candidate: Base) -> Base:
        """The base that a candidate must beat: the one its role uses, else the one it was tuned from.

        Raises UsageError for a base that was not tuned here for a role, and where no base is in use but adapters of
        another one than it was tuned from are active.
        """
        role = role_of(candidate)
        used = self.in_use(role)
        return self._tuned_from(candidate, role) if used is None else used

    def _tuned_from(self, candidate: Base, role: Role) -> Base:
        parent = find_base(self._curated, candidate.facts[PARENT])
        for target in targets_of(role):
            active = self._adapters.active(target)
            if active is not None and active.base != parent.id:
                raise UsageError(
                    f"{role} uses no base on record, and {active.name} serves on {active.base_name}, from which "
                    f"{candidate.name} was not tuned; say which it uses: cra bases adopt {active.base_name} --role "
                    f'{role} --reason "..."'
                )
        return parent

    def lineage(self, base: Base) -> BaseLineage:
        """The signed lineage of a tuned base. Raises RegistryError if it has none."""
        return read_base_statement(base.path).predicate

    def verify(self, base: Base, *, full: bool = False) -> BaseLineage:
        """The lineage of a tuned base whose files, signature and statement are intact. Raises RegistryError."""
        return check_tuned_base(base, self.keys, full=full)

    def note(self, base: Base, report: BaseReport) -> None:
        """Log a gate's report on a candidate; nothing else changes. Logged once per report."""
        role = role_of(base)
        with deciding(self._curated) as connection:
            log = read_base_log(connection, role)
            last = next((row for row in reversed(log) if row.base == base.id), None)
            if last is not None and last.action == "evaluate" and BaseReport.model_validate(last.report) == report:
                return
            used = base_in_use(connection, role)
            reason = f"{report.verdict.value}: {report.reason}"
            log_base_decision(connection, BaseDecision(role, "evaluate", base.id, used, used, reason, None, report))

    def promote(self, name: str, override: str | None = None, bounds: ForgettingBounds | None = None) -> BaseChange:
        """Let a tuned base serve its role: adapters of other bases of that role are deactivated.

        This needs a report that says promote, on this base against the one that it replaces (the last on record), by
        bounds of forgetting no looser than `bounds` and on the newest frozen sets.
        `override`, a person's reason, waives it and is logged. Raises GuardrailError without either, RegistryError if
        the base was altered, UsageError if it was not tuned here.
        """
        chosen = find_base(self._curated, name)
        role = role_of(chosen)
        self.verify(chosen)
        reason = (override or "").strip() or None
        with deciding(self._curated) as connection:
            used = base_in_use(connection, role)
            if used == chosen.id:
                return BaseChange(role, chosen, chosen)
            before = self._tuned_from(chosen, role) if used is None else find_base(self._curated, used)
            report = last_report(read_base_log(connection, role), chosen.id)
            if reason is None:
                check_base_report(chosen, before, report, bounds, newest_sets(self._curated, role))
                self._check_window(chosen, before, report)
            said = report.reason if report is not None else "no gate report"
            return self._change(connection, role, before, chosen, "promote", said, reason, report)

    def _check_window(self, chosen: Base, before: Base, report: BaseReport | None) -> None:
        """Raise GuardrailError if a base has a smaller window, and its report says nothing of the control."""
        parent = next((each for each in list_bases(self._curated) if each.id == chosen.facts[PARENT]), None)
        if parent is not None and has_smaller_window(chosen, parent) and (report is None or report.window is None):
            raise GuardrailError(
                BASE_GATE,
                f"{chosen.name} has a smaller window than {parent.name}, and its report compares it with no control; "
                f"run `cra bases evaluate {chosen.name} --against {before.name}` again",
            )

    def adopt(self, name: str, reason: str, role: Role | None = None) -> list[BaseChange]:
        """Take any base into use by a person's reason: a promotion past the gate. `role` unset: the base's own, or
        both. What uses it already stays as it is.

        An endpoint of the new base would not be asked for adapters of others anyway; this records it.
        """
        if not reason.strip():
            raise UsageError("an adoption needs a reason, which is kept: --reason TEXT")
        chosen = find_base(self._curated, name)
        check_intact(chosen, self.keys)
        served = role or chosen.role
        with deciding(self._curated) as connection:
            used = {each: base_in_use(connection, each) for each in ROLES if served in (None, each)}
            return [
                self._change(connection, each, self._find(before), chosen, "adopt", reason, reason, None)
                for each, before in used.items()
                if before != chosen.id
            ]

    def rollback(self, role: Role, reason: str) -> BaseChange:
        """Let a role use the base before the one in use; adapters that the decisions undone took out of service are
        active again. Each call goes one step further back; a base that is not intact is skipped. Raises RegistryError
        if there is none, UsageError without a reason."""
        if not reason.strip():
            raise UsageError("a rollback needs a reason, which is kept: --reason TEXT")
        with deciding(self._curated) as connection:
            log = read_base_log(connection, role)
            candidates = bases_before(log)
            if not candidates:
                raise RegistryError(f"{role} has used no other base, so there is nothing to roll back")
            target, passed = self._intact(candidates)
            notes = f"{reason} (passed over: {'; '.join(passed)})" if passed else reason
            now = self._find(base_in_use(connection, role))
            assert now is not None, "a role with a base before it has one now"
            restored = restore_adapters(
                connection, self._adapters, role, target, undone_by(log, target and target.id), reason
            )
            log_base_decision(
                connection, BaseDecision(role, "rollback", now.id, now.id, target.id if target else None, notes)
            )
        return BaseChange(role, now, target, *restored)

    def log(self, role: Role | None = None) -> list[LoggedBaseDecision]:
        """All decisions, or those on a role, oldest first."""
        return base_log(self._curated, role)

    def _change(
        self,
        connection: "Connection",
        role: Role,
        before: Base | None,
        chosen: Base,
        action: str,
        reason: str,
        override: str | None,
        report: BaseReport | None,
    ) -> BaseChange:
        """Deactivate the adapters of other bases of a role, and log that it uses this base."""
        stopped = stop_adapters(connection, self._adapters, role, chosen, override or reason)
        decision = BaseDecision(
            role,
            action,
            chosen.id,
            before.id if before else None,
            chosen.id,
            reason,
            override if action == "promote" else None,
            report,
            tuple(version.id for version in stopped),
        )
        log_base_decision(connection, decision)
        return BaseChange(role, before, chosen, stopped)

    def _intact(self, candidates: Sequence[str | None]) -> tuple[Base | None, list[str]]:
        passed = list[str]()
        for candidate in candidates:
            base = self._find(candidate)
            if base is None:
                return None, passed
            try:
                check_intact(base, self.keys)
            except RegistryError as error:
                passed.append(str(error))
                continue
            return base, passed
        raise RegistryError(f"no base to go back to is intact: {'; '.join(passed)}")

    def _find(self, base: str | None) -> Base | None:
        return None if base is None else next(each for each in list_bases(self._curated) if each.id == base)
