"""The operation with real parts and a tiny base: sandbox, a student that llama.cpp serves, trainer, gates, whole runs.

    python -m tests.support.real_operation FOLDER LEARN RESERVED ENVIRONMENTS BASE ROUNDS [PHASE...]

runs ROUNDS rounds on the package LEARN with whole runs on the reserved package RESERVED, whose environments are cached
in the folder ENVIRONMENTS, and prints JSON of what they came to. A child is forked for each PHASE, which gets SIGKILL
when it comes to that phase; the last one goes on to the end. Only the engine is missing. The embedded model's file is
replaced by that of a tiny BASE with random weights, which is served, trained and measured as the embedded model is.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import llm.embedded
from evals.sets import all_sets, build_set, freeze, reserve
from harness.lifecycle.attempt import run_attempt
from harness.packages.package import read_package
from harness.runs.campaign_context import assignments, open_campaign_context
from harness.runs.campaigns import campaign_config, with_adapters
from models.campaign_settings import Grid, StepTestMode
from models.settings import Settings
from models.training import TrainingTarget
from runtime.environments import EnvironmentStore
from runtime.sandbox import open_sandbox
from runtime.trees import Runtime
from tests.support.pairs_material import Repository, World, varied_gold_runs
from tests.support.plain_steps import plain_steps
from training.adapters.export.weights import to_gguf
from training.bases.bases import add_base, list_bases
from training.cycle.context import TrainingContext, open_context
from training.cycle.improvement import ImproveOrder
from training.cycle.past_rounds import read_rounds
from training.cycle.steps import StudentCampaign
from training.cycle.student_runs import STUDENT
from training.operation.lineage import check_lineage
from training.operation.log import EventKind, OperationLog
from training.operation.loop import operate
from training.operation.orders import OperateOrder, OperationSteps

PHASES = ("retention", "campaign", "curate", "fit", "answer", "gate", "whole", "upkeep", "end")
_ANSWER_TOKENS = 64
_GIB = 2**30


def settings_of(root: Path) -> Settings:
    """Settings under which a round takes seconds."""
    endpoint = {"url": "embedded", "model": "tiny", "base": "tiny", "window": 8192, "answer_tokens": _ANSWER_TOKENS}
    return Settings(
        data_dir=root / "data",
        cache_dir=root / "cache",
        models={"endpoints": {"here": endpoint}, "roles": {"reasoning": "here", "coding": "here"}},  # type: ignore[arg-type]
        training={"backend": "trl-cpu", "max_steps": 2, "batch_size": 2, "validation_rows": 1, "checkpoint_steps": 1,
                  "rank": 4, "control_arm": False, "learning_rate": 0.05},  # type: ignore[arg-type]
        operation={"least_free_gib": 0.0},  # type: ignore[arg-type]
    )  # fmt: skip


def prepare(root: Path, base: Path, reserved: Path) -> None:
    """Gold runs to learn from, a frozen set of a reserved repository, the base, a reserved package. Idempotent."""
    world, file = World(root / "data"), root / "tiny.gguf"
    if not file.exists():
        to_gguf(base, root / "tiny.part", precision="f32").rename(file)
    llm.embedded.weights = lambda: file
    llm.embedded.identity = lambda: "the tiny base"
    if not all_sets(world.curated):
        varied_gold_runs(world, *(Repository(name) for name in ("alpha", "beta", "gamma", "hidden")))
        freeze(world.curated, world.raw.engine, build_set(world.raw.engine, TrainingTarget.SCOPE, ["hidden"], limit=1))
        reserve(world.curated, world.raw.engine, [read_package(reserved).manifest.name], "whole runs")
    if not list_bases(world.curated):
        add_base(world.curated, root / "data", file, "tiny", gguf=True)


def run_rounds(root: Path, learn: Path, reserved: Path, environments: Path, rounds: int, stop_at: str = "") -> None:
    """Run until so many rounds have ended, or until the process comes to a phase, where it kills itself."""
    context = open_context(settings_of(root))
    os.environ["CRA_DATA_DIR"] = str(context.settings.data_dir)  # where the embedded model looks for adapters
    steps = _steps(context.settings, environments, learn, stop_at)
    if stop_at in tuple(EventKind):
        _kill_before(EventKind(stop_at))
    log = OperationLog(context.settings.data_dir)
    while (ended := sum(event.kind is EventKind.END for event in log.events())) < rounds:
        _learn_more(root, ended)
        improve = ImproveOrder(
            min_organisations=1, samples=1, limit=ended + 1, base="tiny", override="a test", end_to_end_limit=1
        )
        operate(context, steps, OperateOrder(improve=improve, whole_runs=(reserved,)), 1)


def _learn_more(root: Path, ended: int) -> None:
    """Gold runs on another repository before each round after the first: what is new to learn from."""
    world, name = World(root / "data"), f"extra-{ended}"
    done = root / name
    if ended and not done.exists():
        varied_gold_runs(world, Repository(name))
        done.touch()


def _kill_before(kind: EventKind) -> None:
    """Have this process killed when the log gets an event of a kind."""
    real = OperationLog.add

    def add(log: OperationLog, turn: int, given: EventKind, result: dict[str, Any]) -> Any:
        if given is kind:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(log, turn, given, result)

    OperationLog.add = add  # type: ignore[method-assign]


def _steps(settings: Settings, environments: Path, learn: Path, stop_at: str) -> OperationSteps:
    """Real steps, of which `stop_at` kills this process when it has done its work, before that is on record."""

    def then_killed(name: str, do: Callable[..., Any]) -> Callable[..., Any]:
        def done(*given: Any) -> Any:
            result = do(*given)
            if name == stop_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return done

    plain = plain_steps(lambda asked: run_campaign(asked, settings, environments))
    wrapped = {name: then_killed(name, getattr(plain, name)) for name in ("run_campaign", "curate", "fit", "answer")}
    wrapped["run_campaign"] = then_killed("campaign", plain.run_campaign)
    wrapped["publish"] = then_killed("gate", plain.publish)
    training = replace(plain, **wrapped)
    whole = OperationSteps(training, lambda: [learn])
    return replace(whole, whole=then_killed("whole", whole.whole))


def run_campaign(asked: StudentCampaign, settings: Settings, environments: Path) -> str:
    """The student's campaign, one attempt after the other."""
    grid = Grid(planners=(STUDENT,), temperatures=asked.temperatures, samples=asked.samples, limit=asked.limit)
    used = with_adapters(settings, dict(asked.adapters))
    runtime = Runtime(
        open_sandbox("auto"), EnvironmentStore(environments, 4 * _GIB), used.limits, used.cache_dir / "scratch"
    )
    context = open_campaign_context(used, open_context(used).raw, None, StepTestMode.AUTO, None, None, None)
    opened = [read_package(path) for path in asked.packages]
    config = campaign_config(opened, grid, None, StepTestMode.AUTO, used, runtime.sandbox.kind)
    campaign = context.store.register_campaign(config)
    context.store.start_run(campaign, asked.name, asked.name, [package.directory for package in opened])
    todo = [each for package in opened for each in assignments(campaign, package, grid, context, runtime)]
    for each in todo:
        if not context.store.closed([each.key]):
            run_attempt(each, context)
    left = {each.key for each in todo} - context.store.closed([each.key for each in todo])
    assert not left, f"no verdict for {left}"
    return campaign


def came_to(root: Path) -> dict[str, Any]:
    """What the rounds came to, free of times, sizes and attempts' numbers."""
    context: TrainingContext = open_context(settings_of(root))
    events = OperationLog(context.settings.data_dir).events()
    stages = [e for e in events if e.kind not in (EventKind.DELETED, EventKind.CLOCK, EventKind.STANDING)]
    names = {None: "", **{version.id: version.name for version in context.registry.list()}}
    return {
        "rounds": [
            [each.number, each.finished, [[line.target.value, line.adapter, line.verdict] for line in each.lines]]
            for each in read_rounds(context.raw_engine)
        ],
        "stages": [[event.turn, event.kind.value] for event in stages],
        "standings": [event.result for event in events if event.kind is EventKind.END],
        "measures": [
            [sorted(event.result["measure"]["samples"]), event.result["adapters"]]
            for event in events
            if event.kind is EventKind.MEASURE
        ],
        "decisions": [[each.action, names[each.adapter], names[each.serving]] for each in context.registry.log()],
        "lineage": check_lineage(context),
    }


def _in_child(do: Callable[[], None]) -> int:
    """Do something in a child; its status, as `waitpid` has it."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            do()
            code = 0
        finally:
            os._exit(code)  # whatever happens, the child never goes on as its parent would
    return os.waitpid(child, 0)[1]


def main() -> None:
    """Run, with the kills that are asked for, and print what it came to."""
    root, learn, reserved, environments, base = map(Path, sys.argv[1:6])
    rounds = int(sys.argv[6])

    def run(phase: str) -> None:
        prepare(root, base, reserved)
        run_rounds(root, learn, reserved, environments, rounds, phase)

    for phase in sys.argv[7:]:
        status = _in_child(partial(run, phase))
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            sys.exit(f"phase {phase} was not killed: status {status}")
    if status := _in_child(partial(run, "")):
        sys.exit(f"the last child ended with status {status}")
    print(json.dumps(came_to(root)))


if __name__ == "__main__":
    main()
