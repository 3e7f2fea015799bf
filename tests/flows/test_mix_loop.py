"""A mix of six sources through the whole loop: curated, trained on, judged by whole runs, promoted and rolled back."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from evals.sets import build_set, freeze, reserve
from harness.packages.package import RepoPackage
from models.evaluation import GateVerdict
from models.training import PairSource, TrainingTarget
from tests.support.bad_server import ScriptedServer
from tests.support.curation_material import lines
from tests.support.pairs_material import World
from tests.support.recipe_material import a_pair
from tests.support.scripted_student import Student
from tests.support.tiny import make_tiny_base
from training.adapters.registry import Registry
from training.bases.bases import add_base
from training.cycle.steps import StudentCampaign
from training.data.curation import curate
from training.data.curation.blending import read_mix
from training.data.sources.collections import write_collection

pytestmark = [pytest.mark.index, pytest.mark.slow]

FEW = {"MAX_STEPS": 4, "BATCH_SIZE": 2, "VALIDATION_ROWS": 1, "CHECKPOINT_STEPS": 2, "RANK": 4, "PACING": 0.5}
SOURCES = (
    PairSource.LINTSEQ,
    PairSource.FAIL_FAST,
    PairSource.COMMIT_PACK_FT,
    PairSource.OSS_INSTRUCT,
    PairSource.D3,
    PairSource.RANDOM_DELETION,
)
MIX = """
order = "easy-to-hard"

[sources.lintseq]
share = 0.3
[sources.fail-fast]
weight = 0.5
[sources.commitpackft]
cap = 4
[sources.oss-instruct]
[sources.d3]
[sources.random-deletion]
"""


def test_six_sources_are_mixed_trained_on_judged_promoted_and_rolled_back(
    sample: RepoPackage, configured: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.campaign import campaign
    from flows.training_context import open_training_context
    from flows.training_steps import engine_steps
    from training.cycle.lifecycle import conclude, gate, prepare
    from training.cycle.orders import TrainOrder

    for name, value in FEW.items():
        monkeypatch.setenv(f"CRA_TRAINING__{name}", str(value))
    world = World(tmp_path / "data")
    add_base(world.curated, world.folder, make_tiny_base(tmp_path / "tiny"), "tiny")
    configured("http://127.0.0.1:9/v1", base='"tiny"', window=32768)
    for source in SOURCES:
        rows = [[a_pair(source, number, lines=1 + number)] for number in range(8)]
        write_collection(world.folder, source, {"recipe": "test"}, rows)
    (tmp_path / "mix.toml").write_text(MIX)
    mix = read_mix(tmp_path / "mix.toml")
    request = world.request(TrainingTarget.CODE, mix=mix, max_domain_share=1.0)
    made = curate(world.raw, world.curated, request.model_copy(update={"data_dir": str(world.folder)}))
    assert {row.source for row in made.card.mixed if row.kept} == set(SOURCES)
    counts = Counter(line["source"] for line in lines(made))
    assert counts["commitpackft"] == 4
    assert counts["lintseq"] <= 0.3 * counts.total()

    campaign([sample.directory], ["gold"], "gold", limit=1)
    freeze(world.curated, world.raw.engine, build_set(world.raw.engine, TrainingTarget.CODE, [sample.manifest.name]))
    reserve(world.curated, world.raw.engine, [sample.manifest.name], "whole runs")
    with ScriptedServer(Student(sample, spoilt=False), flavour="openai") as server:
        configured(server.url, base='"tiny"', window=32768)
        context, engine = open_training_context(), engine_steps()
        registry = Registry(world.curated, world.folder)

        def run_campaign(asked: StudentCampaign) -> str:
            """As the engine does, at a server that has every adapter there is."""
            server.models = ("scripted", *(version.served for version in registry.list()))
            return engine.run_campaign(asked)

        steps = replace(engine, run_campaign=run_campaign)
        order = TrainOrder(target=TrainingTarget.CODE, base="tiny", end_to_end=(sample.directory,), end_to_end_limit=1)
        prepared = prepare(context, steps, order)
        [report] = gate(context, [prepared])
        came = conclude(context, engine_steps(), prepared, report.model_copy(update={"verdict": GateVerdict.PROMOTE}))
        assert came.serving == "code-v1"
    assert registry.rollback(TrainingTarget.CODE, "test") is None
    assert [entry.action for entry in registry.log(TrainingTarget.CODE)] == ["promote", "rollback"]
