"""A rehearsal: the steps in their order, each with its evidence, until one is not operational.

bases -> packages -> gold, null -> frozen set -> student -> dataset -> training -> gate
      -> alias there and back -> installation unchanged -> server
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from harness.packages.package import read_package
from host.code_version import code_version
from host.locks import process_lock
from host.settings import load_settings
from models.errors import CleanRoomError, InfrastructureError, NotOperational, UsageError
from models.rehearsal import RehearsalOrder, RehearsalReport, StepEvidence, report_of
from store.runs import CampaignReport
from training.cycle.context import TrainingContext
from training.cycle.rehearsal import checks, stages
from training.cycle.rehearsal.alias import move_alias
from training.cycle.rehearsal.checks import Outcome, serving
from training.cycle.rehearsal.served_answers import ServingPath
from training.cycle.rehearsal.workspace import Workspace
from training.cycle.steps import TrainingSteps

GOLD_CAMPAIGN = "rehearsal gold"
Step = Callable[[], Outcome]


class ServerFacts(NamedTuple):
    """The server that a rehearsal ran on: its version, its deployments, those that it should have, those made by other
    code, the run's id and how many task runs it has recorded of it."""

    url: str
    version: str
    deployments: int
    listed: int
    other_code: str
    run: str
    tasks: int


@dataclass(frozen=True)
class RehearsalParts:
    """The engine's ways of running the long parts. `around` runs a step, by its label, so that the engine shows it."""

    open_context: Callable[[], TrainingContext]
    training: TrainingSteps
    run_gold: Callable[[str, Sequence[Path], int | None], CampaignReport]
    server: Callable[[], ServerFacts]
    around: Callable[[str, Callable[[], StepEvidence]], StepEvidence]


def rehearse(order: RehearsalOrder, machine: StepEvidence, parts: RehearsalParts) -> RehearsalReport:
    """Run the complete loop once; `machine` is the evidence of this machine, which comes first.

    A rehearsal that was killed goes on after its last finished step. Raises UsageError if another one runs in the same
    folder, or the folder is not a rehearsal's.
    """

    def busy(pid: str) -> None:
        raise UsageError(f"process {pid} rehearses in {order.out}; wait for it, or give another folder with --out")

    with process_lock(order.out / "rehearsal.lock", busy):
        workspace = Workspace(order.out)
        real = parts.open_context()
        try:
            done = workspace.open(order, real.curated, real.registry.keys)
        except InfrastructureError as error:
            return report_of((machine, failed_step("folder", str(error))), code_version(), workspace.state)
        run = _Rehearsal(order, parts, workspace, [machine, *done])
        run.all_steps(real)
        workspace.close()
        return report_of(tuple(run.steps), code_version(), workspace.state)


class _Failed(Exception):
    """A step is not operational; its evidence is recorded."""


class _Rehearsal:
    def __init__(
        self, order: RehearsalOrder, parts: RehearsalParts, workspace: Workspace, steps: list[StepEvidence]
    ) -> None:
        self.order, self.parts, self.workspace, self.steps = order, parts, workspace, steps

    def all_steps(self, real: TrainingContext) -> None:
        """Run the steps that are not finished, until one fails."""
        try:
            base = self.step("bases", lambda: checks.check_bases(real, self.order, self.workspace))
            packages = self.step("packages", lambda: checks.check_packages(real, self.order))
            name = base.figures["base"]
            with self.workspace.in_force(load_settings(), self.order, name):
                self.loop(self.parts.open_context(), base, packages)
            self.step("installation", lambda: _unchanged(real, base))
            self.step("server", lambda: _server(self.parts.server(), self.order.server))
        except _Failed:
            return

    def loop(self, own: TrainingContext, base: StepEvidence, packages: StepEvidence) -> None:
        """The loop itself, in the rehearsal's databases."""
        order, training, name = self.order, self.parts.training, base.figures["base"]
        paths = [Path(path) for role in ("learn", "measure") for path in packages.figures[role]]

        def gold() -> Outcome:
            report = self.parts.run_gold(GOLD_CAMPAIGN, paths, order.limit)
            return stages.judge_gold(own, paths, order.limit, report)

        self.step("gold", gold)
        chosen = self.step("evaluation set", lambda: stages.find_evaluation_set(own, order, packages.figures))
        self.step("student", lambda: stages.run_student(own, training, chosen.figures["learn"]))
        data = self.step("dataset", lambda: stages.make_dataset(own, training, name))
        directory = data.figures["directory"]
        trained = self.step("training", lambda: stages.train_adapter(own, training, name, directory))
        self.step("gate", lambda: stages.ask_gate(own, training, name, directory))
        before = base.figures["serving"]

        def alias() -> Outcome:
            path = ServingPath(own, GOLD_CAMPAIGN, [read_package(each).manifest for each in paths])
            return move_alias(own, trained.figures["adapter"], before, path)

        self.step("alias", alias)

    def step(self, name: str, do: Step) -> StepEvidence:
        """The evidence of a step: recorded before, or of doing it now. Raises _Failed if it is not operational."""
        known = next((each for each in self.steps if each.step == name), None)
        if known is None:
            known = self.parts.around(name, lambda: self._evidence(name, do))
            if known.verdict != "failed":
                known = self._recorded(known)
            self.steps.append(known)
        if known.verdict == "failed":
            raise _Failed
        return known

    def _recorded(self, evidence: StepEvidence) -> StepEvidence:
        """Record a finished step; one that cannot be recorded is not operational."""
        try:
            self.workspace.record(evidence)
        except OSError as error:
            return failed_step(evidence.step, _disk_fault(error, self.workspace))
        return evidence

    def _evidence(self, name: str, do: Step) -> StepEvidence:
        started, size = time.monotonic(), self.workspace.size()
        try:
            outcome = do()
        except CleanRoomError as error:
            outcome = _fault(str(error))
        except OSError as error:
            outcome = _fault(_disk_fault(error, self.workspace))
        return StepEvidence(
            step=name,
            verdict=outcome.verdict,
            found=outcome.found,
            figures=outcome.figures,
            remedy=outcome.remedy,
            seconds=round(time.monotonic() - started, 2),
            size=self.workspace.size() - size,
        )


def failed_step(step: str, message: str) -> StepEvidence:
    """The evidence of a step that failed with a message, whose part after the semicolon is the remedy."""
    fault = _fault(message)
    return StepEvidence(step=step, verdict=fault.verdict, found=fault.found, remedy=fault.remedy)


def _disk_fault(error: OSError, workspace: Workspace) -> str:
    return f"{error.filename or workspace.state}: {error.strerror}; free some space there, and start again"


def _fault(message: str) -> Outcome:
    found, _, remedy = message.partition("; ")
    return Outcome((found,), {}, "failed", remedy)


def _unchanged(real: TrainingContext, base: StepEvidence) -> Outcome:
    """What serves in the installation, which a rehearsal never changes: another decision may have, meanwhile."""
    before, after = base.figures["serving"], serving(real.curated)
    figures = {"before": before, "after": after}
    if before != after:
        found = f"while the rehearsal ran, others changed what serves from {before} to {after}"
        return Outcome((found,), figures, "warning", "see `cra adapters log`")
    shown = ", ".join(f"{target}: {name}" for target, name in before.items()) or "the bases alone"
    return Outcome((f"serves as before: {shown}",), figures)


def _server(facts: ServerFacts, wanted: bool) -> Outcome:
    """The engine's server, on which the rehearsal ran. Raises NotOperational if its deployments are not there."""
    ran = f"{facts.url}, version {facts.version}: this flow ran there, {facts.tasks} of its task runs are recorded"
    figures = facts._asdict()
    if not wanted:
        found = (ran, f"it is this command's own, so that none of {facts.listed} deployments is there")
        return Outcome(found, figures, "warning", "`cra up` starts a server with deployments, schedules and a worker")
    if facts.deployments < facts.listed:
        raise NotOperational(f"{facts.url} has {facts.deployments} of {facts.listed} deployments; run `cra up`")
    if facts.other_code:
        raise NotOperational(f"the deployments of {facts.url} are of version {facts.other_code}; run `cra up`")
    return Outcome((ran, f"{facts.deployments} deployments are there"), figures)
