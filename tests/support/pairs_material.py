"""Runs as they lie in the raw database, made with the real store, templates and parsers; only models are missing."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.edits.format import format_edits
from agent.prompts import render
from models.attribution import Attribution, CodePlace, Evidence, Label
from models.chat import prompt_text
from models.context import Candidate, CandidateTier, FileOutline, Relevance, SymbolOutline, SymbolUse, TaskAnalysis
from models.curation_settings import CurationRequest, CurationSettings
from models.edits import Edit, EditFormat, EditResult, Rung, SearchReplace
from models.manifest import Instance, Manifest, MiningFunnel
from models.outcomes import OracleKind, OutcomeKind
from models.plans import MetaPlan, MetaPlanPart, PartPlan, PlanStep, Target
from models.protocols import Answer, Request, SourceFile, Stage, Task
from models.training import TrainingTarget
from store.database import open_database
from store.runs import RawStore, open_raw_store
from store.runs.recorder import AttemptRecorder

VERBS = ("Fix", "Add", "Remove", "Rename", "Speed up", "Document", "Guard", "Split")
NOUNS = ("the parser", "a cache", "retry hooks", "the registry", "plural forms", "time zones", "markers", "callbacks")


@dataclass
class Repository:
    """A repository with instances; each changes `src/lib.py` and its symbol `work`."""

    name: str
    source: str = ""
    organisation: str | None = None
    domain: str | None = None
    license: str | None = "MIT"
    instances: int = 4

    def manifest(self) -> Manifest:
        return Manifest(
            name=self.name,
            source=self.source or f"https://example.org/{self.name}-people/{self.name}",
            license=self.license,
            organisation=self.organisation,
            domain=self.domain,
            head="c" * 40,
            python="3.11",
            test_command=("pytest",),
            lines_of_code=10,
            funnel=MiningFunnel(total=2, dropped={}, needs_message=0, kept=2, mixed=2),
            instances=tuple(self.instance(number) for number in range(self.instances)),
        )

    def instance(self, number: int) -> Instance:
        return Instance(
            instance_id=f"{self.name}-{number}",
            commit=f"{number:08x}{self.name.encode().hex():0<32}"[:40],
            base_commit=f"{number:08x}{self.name.encode().hex():f<32}"[:40],
            task=self.task(number),
            planning_types=(),
            production_files=("src/lib.py",),
            symbols=("src/lib.py::work",),
            test_files=("tests/test_lib.py",),
            environment="env",
            fail_to_pass=("tests/test_lib.py::test",),
        )

    def task(self, number: int) -> str:
        return f"{VERBS[number % 8]} {NOUNS[(number * 3 + len(self.name)) % 8]} of {self.name}, case {number}"


@dataclass
class World:
    """Databases in a folder, and repositories registered in the raw one."""

    folder: Path
    keys: dict[str, str] = field(default_factory=dict)
    repositories: dict[str, Repository] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.raw: RawStore = open_raw_store(self.folder / "raw.sqlite")
        self.curated = open_database(self.folder / "curated.sqlite", "curated")

    def add(self, repository: Repository) -> Repository:
        self.keys |= self.raw.register_package(repository.manifest())
        self.repositories |= {repository.instance(n).instance_id: repository for n in range(repository.instances)}
        return repository

    def request(self, target: TrainingTarget, **changes: Any) -> CurationRequest:
        given = {"min_organisations": 1, "settings": CurationSettings()} | changes
        return CurationRequest(target=target, data_dir=str(self.folder / "data"), **given)

    def run(self, instance: str, planner: str = "gold", **how: Any) -> "Attempt":
        return Attempt(self, instance, planner, **how)

    def task(self, instance: str) -> Task:
        repository = self.repositories[instance]
        number = int(instance.rpartition("-")[2])
        return Task(text=repository.task(number), repository=repository.name, base="b" * 40)


@dataclass
class Attempt:
    """One attempt, recorded when `close` is called; asked in the order of the calls."""

    world: World
    instance: str
    planner: str
    sample: int = 0
    campaign: str = "c"
    kind: str = "campaign"
    identity: str = "v1"
    label: str = ""
    asked: list[tuple[Request, Answer]] = field(default_factory=list)

    def __post_init__(self) -> None:
        config = {"name": self.campaign} | ({"kind": self.kind} if self.kind != "campaign" else {})
        store = self.world.raw
        identity = store.register_campaign(config)
        store.start_run(identity, self.label or self.campaign, "flow", [Path("lib")])
        key = self.world.keys[self.instance]
        self.key = store.open_trajectory(
            identity, key, self.planner, f"{self.planner} {self.identity}", 0.0, self.sample
        )
        number = store.begin_attempt(self.key)
        assert number is not None
        self.number = number
        self.recorder: AttemptRecorder = store.recorder(self.key, number)

    @property
    def task(self) -> Task:
        return self.world.task(self.instance)

    def say(self, request: Request, text: str, *, prompt: bool = True, **answer: Any) -> "Attempt":
        """Ask and answer, with the prompt that the templates make."""
        rendered = prompt_text(render(request, 10**6, len)) if prompt else None
        said = {"text": text, "model": "m", "prompt": rendered} | answer
        self.recorder.call(request, Answer(**said))
        return self

    def malformed(self, stage: Stage, place: str = "task attempt 0") -> "Attempt":
        self.recorder.decision(stage, place, "malformed", "no JSON")
        self.recorder.flush()
        return self

    def close(
        self,
        kind: OutcomeKind = OutcomeKind.PASSED,
        oracle: OracleKind | None = OracleKind.F2P_P2P,
        alignment: float | None = 1.0,
        label: Label | None = None,
        failed_steps: tuple[str, ...] = (),
        unseen: tuple[CodePlace, ...] = (),
        patch: str = "p",
    ) -> "Attempt":
        store = self.world.raw
        if label is not None:
            evidence = Evidence(outcome=kind, failed_steps=failed_steps, unseen=unseen)
            store.store_attribution(
                self.key, self.number, Attribution(label=label, reason="so", version=1, evidence=evidence)
            )
        measures = None if alignment is None else {"files": alignment, "symbols": alignment, "order": alignment}
        store.close_trajectory(self.key, self.number, kind, oracle=oracle, alignment=measures, patch=patch)
        return self

    # The questions.

    def analyse(self, files: Sequence[str] = ("src/lib.py",), **answer: Any) -> "Attempt":
        request = Request(stage=Stage.TASK_ANALYSIS, task=self.task, overview="src/lib.py\nsrc/other.py\n")
        analysis = TaskAnalysis(kind="fix", summary=self.task.text, files=tuple(files))
        return self.say(request, analysis.model_dump_json(), **answer)

    def scope(self, files: Mapping[str, str] | None = None, attempt: int = 0, **answer: Any) -> "Attempt":
        files = GOOD_SCOPE if files is None else files
        return self.say(self.scope_request(attempt=attempt), json.dumps({"files": dict(files)}), **answer)

    def scope_request(self, attempt: int = 0, paths: Sequence[str] = ()) -> Request:
        shown = paths or tuple(GOOD_SCOPE)
        candidates = tuple(
            Candidate(path=path, score=1.0, tier=CandidateTier.LEXICAL, reason=f"shares {self.instance}")
            for path in shown
        )
        failure = "no JSON" if attempt else ""
        return Request(stage=Stage.SCOPE, task=self.task, candidates=candidates, attempt=attempt, failure=failure)

    def precision(self, uses: Mapping[str, SymbolUse] | None = None, more: int = 0) -> "Attempt":
        uses = {"work": SymbolUse.PRIMARY, "help": SymbolUse.EXCLUDED} if uses is None else uses
        uses = {**uses, **{f"name{n}": SymbolUse.EXCLUDED for n in range(more)}}
        symbols = tuple(SymbolOutline(name=name, kind="function", signature=f"def {name}()") for name in uses)
        outline = FileOutline(path="src/lib.py", relevance=Relevance.RELEVANT, symbols=symbols)
        request = Request(stage=Stage.PRECISION, task=self.task, outlines=(outline,))
        return self.say(request, json.dumps({"symbols": {"src/lib.py": {n: use.value for n, use in uses.items()}}}))

    def meta_plan(self, title: str = "Part", **answer: Any) -> "Attempt":
        plan = MetaPlan(parts=(MetaPlanPart(id="p1", title=title, description="Do it", targets=(TARGET,)),))
        request = Request(stage=Stage.META_PLAN, task=self.task)
        return self.say(request, plan.model_dump_json(), **answer)

    def code(
        self,
        replace: str = "    return 2\n",
        step: str = "s1",
        attempt: int = 0,
        error: str | None = None,
        edits: Sequence[Edit] | None = None,
        text: str | None = None,
        **answer: Any,
    ) -> "Attempt":
        plan_step = PlanStep(id=step, description=f"Change it in {step}", targets=(TARGET,))
        part = MetaPlanPart(id="p1", title="Part", description="Do it", targets=(TARGET,))
        request = Request(
            stage=Stage.CODE, task=self.task, meta=MetaPlan(parts=(part,)), part=part,
            plan=PartPlan(part_id="p1", steps=(plan_step,)), step=plan_step,
            files=(SourceFile(path="src/lib.py", text=LIBRARY),), edit_format=EditFormat.SEARCH_REPLACE,
            attempt=attempt, failure="it failed" if attempt else "",
        )  # fmt: skip
        made = edits if edits is not None else [SearchReplace(path="src/lib.py", search=OLD, replace=replace)]
        self.say(request, format_edits(list(made)) if text is None else text, **answer)
        results = [EditResult(edit=e, rung=None if error else Rung.EXACT, error=error) for e in made]
        if text is None:
            self.recorder.edits("p1", step, attempt, results)
        return self


GOOD_SCOPE = {"src/lib.py": "relevant", "src/other.py": "supporting", "src/far.py": "irrelevant"}
TARGET = Target(path="src/lib.py", symbol="work")
OLD = "    return 1\n"
LIBRARY = "def work():\n    return 1\n"


def gold_runs(world: World, *repositories: Repository, campaign: str = "c") -> None:
    """A gold run of every stage over all instances of repositories."""
    for repository in repositories:
        world.add(repository)
        for number in range(repository.instances):
            run = world.run(f"{repository.name}-{number}", campaign=campaign)
            run.analyse().scope().precision(more=number).meta_plan().code().close()


def varied_gold_runs(world: World, *repositories: Repository) -> None:
    """Gold runs of the judging stages whose answers differ from instance to instance, as training wants them."""
    for repository in repositories:
        world.add(repository)
        for number in range(repository.instances):
            far = ("irrelevant", "supporting", "relevant")[number % 3]
            files = ("src/lib.py", "src/other.py")[: 1 + number % 2]
            run = world.run(f"{repository.name}-{number}")
            run.analyse(files).scope({**GOOD_SCOPE, "src/far.py": far}).precision(more=number).close()
