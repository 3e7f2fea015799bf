"""The operation with a scripted student, as a simulation of months.

Real: both databases, datasets, guardrails, the scoring of answers, gates and their statistics, the registry with signed
adapters, retention, upkeep, log, standing. Simulated:

- the student's campaign: gold's and a student's runs are written as rows, nothing is executed; 2 MB of the engine's
  results are left behind;
- the trainer: an adapter of the tiny base, whose weights are one number from the job's id; checkpoints stay behind;
- the answers: gold's, each class right with a probability that rises with the adapter's version up to a limit;
- whole runs: passes drawn with the same probability; after the collapse all samples of an instance are alike.

Everything that is drawn depends on names and numbers alone, so that a run that was killed ends as another.
"""

import hashlib
import json
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.attacks._package import honest_package, manifest_of, write_manifest
from evals.scoring import score_once, settings_of
from evals.sets import all_sets, build_set, freeze
from evals.whole_runs import Passes
from harness.packages.package import MANIFEST
from models.chat import Message
from models.errors import UsageError
from models.evaluation import Evaluation, EvaluationSet
from models.outcomes import OracleKind, OutcomeKind
from models.protocols import Stage
from models.training import TrainingTarget
from store.learning.trainings import FinishedTraining, find_training, store_training, store_training_job
from store.runs.results import sample_results
from tests.support.pairs_material import GOOD_SCOPE, Repository, World, varied_gold_runs
from tests.support.plain_steps import plain_steps, student_settings
from tests.support.registry_material import write_safetensors
from training.adapters.registry import AdapterVersion
from training.adapters.registry.weights import content_hash
from training.bases.bases import Base, add_base, list_bases
from training.cycle.context import TrainingContext, open_context
from training.cycle.improvement import ImproveOrder
from training.cycle.steps import StudentCampaign
from training.fit.job import TrainingJob
from training.operation.log import EventKind, OperationLog
from training.operation.loop import operate
from training.operation.orders import OperateOrder, OperateReport, OperationSteps
from training.operation.standing import State

HELD = tuple(f"held-{number}" for number in range(8))
CLASSES = ("relevant", "supporting", "irrelevant")
WHOLE_INSTANCES, WHOLE_SAMPLES = 6, 4
CHECKPOINT_BYTES, RESULT_BYTES = 2_000_000, 2_000_000
FIRST_REPOSITORIES, NEW_INSTANCES = 3, 2


def chance(*what: object) -> float:
    """A number from 0 to 1 that depends on these values alone."""
    return int.from_bytes(hashlib.sha256(repr(what).encode()).digest()[:6], "big") / 2**48


@dataclass(frozen=True)
class Script:
    """The student: right with `start` + `step` per version, at most `limit`. From version `collapse` on (0: never) it
    is right with `again`, and the samples of its whole runs are all alike."""

    start: float = 0.45
    step: float = 0.09
    limit: float = 0.78
    again: float = 0.97
    collapse: int = 0

    def right(self, version: int) -> float:
        """The probability that it is right."""
        if self.collapsed(version):
            return self.again
        return min(self.limit, self.start + self.step * version)

    def collapsed(self, version: int) -> bool:
        """Whether it has lost its diversity."""
        return bool(self.collapse) and version >= self.collapse


@dataclass(frozen=True)
class Simulation:
    """A simulation in a folder, prepared at first use."""

    root: Path
    script: Script = Script()

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.root / "data"

    @property
    def log(self) -> OperationLog:
        """The operation's log."""
        return OperationLog(self.data)

    def prepare(self, base: Path) -> None:
        """Reserved repositories with a frozen set, the base, the first packages. Idempotent."""
        world = World(self.data)
        if not all_sets(world.curated):
            varied_gold_runs(world, *(Repository(name, instances=6) for name in HELD))
            freeze(world.curated, world.raw.engine, build_set(world.raw.engine, TrainingTarget.SCOPE, list(HELD)))
        if not list_bases(world.curated):
            add_base(world.curated, self.data, base, "tiny")
        for number in range(FIRST_REPOSITORIES):
            self.arrive(number)
        for name in HELD:
            make_package(self.root / "reserved", name)

    def arrive(self, number: int) -> None:
        """A package comes to the corpus."""
        make_package(self.data / "corpus", f"repo-{number:02d}")

    def packages(self) -> list[Path]:
        """The corpus."""
        return sorted(path.parent for path in (self.data / "corpus").glob(f"*/{MANIFEST}"))

    def context(self, **settings: Any) -> TrainingContext:
        """The context of the learning loop; no server is asked anything."""
        plain = student_settings(self.data, "http://127.0.0.1:9/v1", training={"backend": "trl-cpu"}, **settings)
        return replace(open_context(plain), classifiers={})

    def steps(self) -> OperationSteps:
        """The steps of a turn."""
        training = replace(plain_steps(self._campaign), fit=_fit, answer=self._answer)
        return OperationSteps(training, self.packages, self._whole, _serving)

    def order(self, continued: str = "") -> OperateOrder:
        """What is asked for."""
        reserved = tuple(sorted((self.root / "reserved").glob("*")))
        improve = ImproveOrder(min_organisations=1, samples=1, limit=1, base="tiny")
        return OperateOrder(improve=improve, continued=continued, whole_runs=reserved)

    def turn(self, context: TrainingContext, continued: str = "") -> OperateReport:
        """One turn, or what is left of an open one."""
        return operate(context, self.steps(), self.order(continued), 1, log=self.log)

    def _campaign(self, asked: StudentCampaign) -> str:
        """New instances of each repository, solved by gold and by the student."""
        number, world = int(asked.name.rpartition(" ")[2]), World(self.data)
        results = self.data / "cache" / "engine"
        results.mkdir(parents=True, exist_ok=True)
        (results / f"round-{number}").write_bytes(b"\0" * RESULT_BYTES)
        closed = _closed(world, asked.name)
        for path in asked.packages:
            name = manifest_of(path)["name"]
            world.add(Repository(name, instances=NEW_INSTANCES * number))
            for instance in range(NEW_INSTANCES * (number - 1), NEW_INSTANCES * number):
                _run(world, asked.name, f"{name}-{instance}", "gold", CLASSES[instance % 3], closed)
                _run(world, asked.name, f"{name}-{instance}", "student", CLASSES[(instance + number) % 3], closed)
        return asked.name

    def _answer(
        self, label: str, context: TrainingContext, items: EvaluationSet, base: Base, adapter: AdapterVersion | None
    ) -> Evaluation:
        answerer = Student(self.script, adapter.version if adapter else 0, items)
        subject, settings = context.subject(base, adapter), settings_of(answerer)
        return score_once(context.raw_engine, items, answerer, subject, settings, self.data / "evaluations")

    def _whole(
        self,
        context: TrainingContext,
        steps: object,
        packages: Sequence[Path],
        limit: int | None,
        adapters: Mapping[Stage, str],
    ) -> Passes:
        version = version_of(adapters[Stage.SCOPE])
        right, alike = self.script.right(version), self.script.collapsed(version)
        return {
            (f"{path.name}@{instance}", sample): chance(path.name, instance, 0 if alike else sample) < right * 0.6
            for path in packages
            for instance in range(WHOLE_INSTANCES)
            for sample in range(WHOLE_SAMPLES)
        }


class Student:
    """Answers to the frozen set's items, right as the script says."""

    settings: Mapping[str, str | int | float] = {"backend": "script", "constrained": 1}

    def __init__(self, script: Script, version: int, items: EvaluationSet) -> None:
        self.script, self.version = script, version
        self.known = {item.messages[-1].content: (item.id, item.expected) for item in items.items}

    def limit(self, wanted: int) -> int:
        """As many tokens as are wanted."""
        return wanted

    def answer(
        self, messages: Sequence[Message], max_tokens: int, seed: int, temperature: float, schema: dict[str, Any] | None
    ) -> str:
        """A class for each candidate."""
        item, expected = self.known[messages[-1].content]
        given = {path: self._class(item, path, right) for path, right in json.loads(expected)["files"].items()}
        return json.dumps({"files": given})

    def _class(self, item: str, path: str, right: str) -> str:
        jitter = 0.04 * (chance(item, path, self.version, "jitter") - 0.5)
        if chance(item, path) < self.script.right(self.version) + jitter:
            return right
        others = [name for name in CLASSES if name != right]
        return others[int(2 * chance(item, path, "other"))]


def version_of(served: str) -> int:
    """The version in a served name, 0 for the base."""
    return int(served.split("-v")[1].split("-")[0]) if "-v" in served else 0


def make_package(folder: Path, name: str) -> None:
    """A package of this name, whole or not at all."""
    if (folder / name).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    part = folder.parent / f".part-{name}"
    shutil.rmtree(part, ignore_errors=True)
    package = honest_package(part)
    owner = {"name": name, "source": f"https://example.org/{name}-people/{name}"}
    write_manifest(package, manifest_of(package) | owner)
    package.rename(folder / name)
    part.rmdir()


def _closed(world: World, campaign: str) -> set[tuple[str, str]]:
    """The runs of a campaign that are on record: planner and commit."""
    found = set[tuple[str, str]]()
    for planner in ("gold", "student"):
        try:
            results = sample_results(world.raw.engine, campaign, planner)
        except UsageError:  # nothing ran under this name yet
            continue
        found |= {(planner, each.commit) for each in results if each.kind is not None}
    return found


def _run(
    world: World, campaign: str, instance: str, planner: str, far: str, closed: Collection[tuple[str, str]]
) -> None:
    """A run on an instance, unless it is on record."""
    commit = world.repositories[instance].instance(int(instance.rpartition("-")[2])).commit
    if (planner, commit) in closed:
        return
    files = ("src/lib.py", "src/other.py")[: 1 + len(instance) % 2]
    run = world.run(instance, planner, campaign=campaign)
    run.analyse(files).scope({**GOOD_SCOPE, "src/far.py": far}).close(OutcomeKind.PASSED, OracleKind.F2P_P2P)


def _fit(label: str, context: TrainingContext, job: TrainingJob) -> FinishedTraining:
    """A training that writes an adapter of the job's own, and leaves its checkpoints behind."""
    out = context.settings.data_dir / "trainings" / job.id
    found = find_training(context.raw_engine, job.id)
    if found is not None and job.is_result(found.path):
        return found
    store_training_job(context.raw_engine, job.id, job.target, job.source, job.base.id, job.dataset_id, job.config)
    shutil.rmtree(out, ignore_errors=True)
    (out / "checkpoints" / "checkpoint-1").mkdir(parents=True)
    (out / "checkpoints" / "checkpoint-1" / "optimizer.bin").write_bytes(b"\0" * CHECKPOINT_BYTES)
    adapter = out / "adapter"
    adapter.mkdir()
    mark = chance(job.id) + 0.01
    modules = {"q_proj": 64, "v_proj": 32}
    tensors = {
        f"base_model.model.model.layers.{layer}.self_attn.{name}.lora_{side}.weight": (
            shape,
            [mark] * int(np.prod(shape)),
        )
        for layer in range(2)
        for name, width in modules.items()
        for side, shape in (("A", (4, 64)), ("B", (width, 4)))
    }
    config = {
        "peft_type": "LORA", "base_model_name_or_path": job.base.name, "r": 4, "lora_alpha": 8, "bias": "none",
        "target_modules": sorted(modules),
    }  # fmt: skip
    write_safetensors(adapter / "adapter_model.safetensors", tensors)
    (adapter / "adapter_config.json").write_text(json.dumps(config, sort_keys=True))
    (out / "fit.json").write_text("{}")
    made = FinishedTraining(job.id, content_hash(adapter), adapter, "cpu", 2, 100, 1.0, {"loss": 1.0})
    return store_training(context.raw_engine, made, '{"step": 1, "loss": 1.0}\n')


def _serving(context: TrainingContext) -> dict[Stage, str]:
    active = context.registry.active(TrainingTarget.SCOPE)
    return {Stage.SCOPE: active.served if active else ""}


def run_script(simulation: Simulation, turns: int, **settings: Any) -> Iterator[OperateReport]:
    """Turns until so many have ended, as a person with a stick would tend them: a repository arrives when the operation
    waits or is done, and every second turn besides; after a stop it is continued with a reason."""
    continued = ""
    context = simulation.context(**settings)
    while (ended := sum(event.kind is EventKind.END for event in simulation.log.events())) < turns:
        if ended % 2 == 0:
            simulation.arrive(FIRST_REPOSITORIES + ended)
        report = simulation.turn(context, continued)
        yield report
        continued = f"a person looked at it after {ended} turns" if report.standing.state is State.STOPPED else ""
        if report.standing.state in (State.WAITING, State.DONE):
            simulation.arrive(FIRST_REPOSITORIES + ended + 1)
