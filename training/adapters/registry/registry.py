"""The registry of adapters: immutable versions, one alias per target, and a log of decisions.

    register   a trained adapter gets a content-addressed directory, a signed statement and the next number
    promote    the alias of its target moves to it, by a gate's report or a person's reason
    rollback   the alias moves back to the previous adapter

Nothing is ever deleted. Which base a role uses is decided beside it (`base_registry`).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.class_bias import read_class_bias
from models.errors import GuardrailError, RegistryError
from models.evaluation import GateReport
from models.training import TrainingTarget
from store.learning.adapters import AdapterVersion, add_adapter, deciding, list_adapters, move, serving
from store.learning.base_decisions import base_in_use
from store.learning.promotions import LoggedDecision, RegistryDecision, log_decision, promotion_log, read_log
from training.adapters.registry.artifacts import add_artifact
from training.adapters.registry.checking import check_same_bias, check_version
from training.adapters.registry.evidence import (
    check_base_in_use,
    check_report,
    check_same_base,
    check_subject,
    on_record,
)
from training.adapters.registry.log import served_before
from training.adapters.registry.statement import Lineage
from training.adapters.registry.succession import in_use
from training.adapters.registry.weights import check_adapter, content_hash
from training.bases.bases import Base, find_base

if TYPE_CHECKING:
    from store.database import Connection, Engine


_Versions = list[AdapterVersion]
_Log = list[LoggedDecision]


class Registry:
    """Adapters under `data_dir`, recorded in a curated database. Safe for concurrent processes."""

    def __init__(self, curated: "Engine", data_dir: Path) -> None:
        self._curated = curated
        self.artifacts, self.keys = data_dir / "adapters", data_dir / "keys"

    def register(
        self,
        adapter_dir: Path,
        target: TrainingTarget,
        base: str,
        dataset_id: str,
        job_id: str,
        metrics: Mapping[str, Any],
        config: Mapping[str, Any],
        code_revision: str,
        *,
        parents: Sequence[str] = (),
        evaluations: Sequence[str] = (),
        trained_at: datetime | None = None,
    ) -> AdapterVersion:
        """Register a trained adapter (PEFT layout) of a base (name or hash). Idempotent for the same files.

        Raises RegistryError if it is damaged, not a plain LoRA, does not fit the base, or has another target; or if
        its weights are known with another class bias.
        """
        found = find_base(self._curated, base)
        check_adapter(adapter_dir, found)
        lineage = Lineage(
            target=target,
            adapter=content_hash(adapter_dir),
            base=found.id,
            base_name=found.name,
            dataset=dataset_id,
            parents=tuple(parents),
            plan=job_id,
            config=dict(config),
            code_revision=code_revision,
            evaluations=tuple(evaluations),
            trained_at=trained_at or datetime.now(UTC),
        )
        known = self._find(lineage.adapter)
        if known is None:
            place = add_artifact(adapter_dir, self.artifacts / target.value, self.keys, lineage)
            add_adapter(
                self._curated,
                lineage.adapter,
                target,
                found.id,
                place,
                dataset_id=dataset_id,
                plan_id=job_id,
                metrics=metrics,
                trained_at=lineage.trained_at,
            )
            known = self.show(lineage.adapter)
        if (known.target, known.base) != (target, found.id):
            raise RegistryError(
                f"these weights are already registered as {known.name} on base {known.base_name}; train others"
            )
        check_same_bias(known, read_class_bias(metrics))
        return known

    def promote(
        self, version: AdapterVersion | str, report: GateReport | None = None, override: str | None = None
    ) -> AdapterVersion:
        """Make an adapter active for its target; running routers follow within a second.

        This needs a report that says promote, on this adapter against the active champion (default: the last on
        record), and a champion of the same base. `override`, a person's reason, waives both and is logged. Raises
        GuardrailError without either, or if the role uses another base; RegistryError if the adapter was altered, or
        its target has no stages.
        """
        chosen = self._current(version)
        if not chosen.target.serves:
            raise RegistryError(f"{chosen.name} answers no stage and is never active; name it in `cra critic`")
        check_version(chosen, self._base(chosen.base), self.keys)
        override = (override or "").strip() or None
        with deciding(self._curated) as connection:
            champion = serving(connection, chosen.target)
            log = read_log(connection, chosen.target)
            if champion == chosen.id:
                return self._current(chosen.id)
            check_base_in_use(chosen, self._base_in_use(connection, chosen.target))
            before = None if champion is None else self._current(champion)
            beaten = before.id if before is not None and before.base == chosen.base else None
            report = report or on_record(log, chosen.id, beaten)
            if override is None:
                check_report(chosen, report, beaten, log)
                check_same_base(chosen, before)
            reason = report.reason if report is not None else "no gate report"
            move(connection, chosen.target, chosen.id)
            log_decision(connection, RegistryDecision(chosen.target, "promote", chosen.id, reason, override, report))
        return self._current(chosen.id)

    def reject(self, version: AdapterVersion | str, report: GateReport) -> None:
        """Log that a gate rejected an adapter; the champion stays. Logged once per report."""
        self._note(version, "reject", report)

    def inconclusive(self, version: AdapterVersion | str, report: GateReport) -> None:
        """Log that a gate was inconclusive; the champion stays. Logged once per report."""
        self._note(version, "inconclusive", report)

    def refuse(self, target: TrainingTarget, reason: str, override: str | None = None) -> None:
        """Log that a rule stopped a step for a target, or that a person overrode it."""
        with deciding(self._curated) as connection:
            log_decision(connection, RegistryDecision(target, "refuse", None, reason, override))

    def withheld_for_base(self, version: AdapterVersion, report: GateReport) -> str:
        """Why an adapter that passed its gate may not take the place of the one that serves, noted with its report,
        so that it can be promoted by that once the base is in use. Empty: it may."""
        chosen = self._current(version)
        try:
            check_base_in_use(chosen, in_use(self._curated, chosen.target.role))
            check_same_base(chosen, self.active(chosen.target))
        except GuardrailError as error:
            self.withhold(chosen, report, str(error))
            return str(error)
        return ""

    def withhold(self, version: AdapterVersion | str, report: GateReport, reason: str) -> None:
        """Log why an adapter that passed its gate was not promoted, with its report. Logged once."""
        self._note(version, "refuse", report, reason)

    def _base_in_use(self, connection: "Connection", target: TrainingTarget) -> Base | None:
        base = base_in_use(connection, target.role)
        return None if base is None else self._base(base)

    def _note(self, version: AdapterVersion | str, action: str, report: GateReport, reason: str | None = None) -> None:
        chosen = self._current(version)
        check_subject(chosen, report)
        with deciding(self._curated) as connection:
            last = next((r for r in reversed(read_log(connection, chosen.target)) if r.adapter == chosen.id), None)
            noted = last and last.action == action and last.report
            if not noted or GateReport.model_validate(noted) != report:
                log_decision(
                    connection,
                    RegistryDecision(chosen.target, action, chosen.id, reason or report.reason, None, report),
                )

    def rollback(self, target: TrainingTarget, reason: str) -> AdapterVersion | None:
        """Restore the previous adapter of a target; None: the base alone. Each call goes one step further back.

        An adapter that is not intact, or whose base is no longer in use, is skipped. Raises RegistryError if no
        adapter is active.
        """
        with deciding(self._curated) as connection:
            now = serving(connection, target)
            if now is None:
                raise RegistryError(f"no adapter is active for {target.value}, so there is nothing to roll back")
            candidate = self._go_back(connection, target, now, reason)
        return None if candidate is None else self._current(candidate)

    def take_back(self, version: AdapterVersion, reason: str) -> bool:
        """Roll back an adapter if it is still active; returns whether it was. If the alias has moved since, nothing
        changes (compare-and-set)."""
        with deciding(self._curated) as connection:
            if serving(connection, version.target) != version.id:
                return False
            self._go_back(connection, version.target, version.id, reason)
        return True

    def _go_back(self, connection: "Connection", target: TrainingTarget, now: str, reason: str) -> str | None:
        passed, used = list[str](), base_in_use(connection, target.role)
        for candidate in served_before(read_log(connection, target)):
            fault = self.unfit(candidate, used)
            if not fault:
                break
            passed.append(fault)
        move(connection, target, candidate)
        notes = f"{reason} (passed over: {'; '.join(passed)})" if passed else reason
        log_decision(connection, RegistryDecision(target, "rollback", now, notes))
        return candidate

    def unfit(self, candidate: str | None, base: str | None) -> str:
        """Why an adapter (by its hash; None: none) cannot be made active again; empty if it can. `base` is the hash of
        the base that its role uses."""
        if candidate is None:
            return ""
        version = self._current(candidate)
        if base is not None and version.base != base:
            return f"{version.name} is of base {version.base_name}"
        try:
            intact = content_hash(version.path) == version.id
        except RegistryError as error:
            return str(error)
        return "" if intact else f"{version.name} is not intact"

    def active(self, target: TrainingTarget) -> AdapterVersion | None:
        """The active adapter of a target; None: the base alone."""
        return next((version for version in self.list(target) if version.active), None)

    def list(self, target: TrainingTarget | None = None) -> _Versions:
        """All adapters, or those of a target, by target and number."""
        return list_adapters(self._curated, target)

    def show(self, name: str) -> AdapterVersion:
        """The adapter of a name, served name, or hash (its beginning). Raises RegistryError if there is none."""
        versions = self.list()
        found = [v for v in versions if name in (v.name, v.served, v.id)]
        found = found or [v for v in versions if len(name) >= 8 and v.id.startswith(name)]
        if len(found) != 1:
            known = ", ".join(version.name for version in versions) or "none"
            raise RegistryError(f"no adapter {name!r}; known: {known}")
        return found[0]

    def log(self, target: TrainingTarget | None = None) -> _Log:
        """All decisions, or those on a target, oldest first."""
        return promotion_log(self._curated, target)

    def verify(self, name: str) -> AdapterVersion:
        """Check an adapter in full: files, signature, statement, row, and its base's files. Raises RegistryError."""
        version = self.show(name)
        check_version(version, self._base(version.base), self.keys, full=True)
        return version

    def _find(self, content: str) -> AdapterVersion | None:
        return next((version for version in self.list() if version.id == content), None)

    def _current(self, version: AdapterVersion | str) -> AdapterVersion:
        return self.show(version if isinstance(version, str) else version.id)

    def _base(self, base: str) -> Base:
        return find_base(self._curated, base)
