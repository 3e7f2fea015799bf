"""The serving path in a rehearsal: a real llama.cpp server, asked while an adapter is promoted and after it was."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("xllamacpp")

from safetensors.torch import load_file, save_file

from harness.audit.record import AttemptLog
from llm.embedded import EmbeddedServer, serve
from models.errors import NotOperational, ServingError
from models.llm_settings import Endpoint, ModelSettings, Roles
from models.settings import Settings
from models.training import TrainingTarget
from tests.support.pairs_material import Repository, World, varied_gold_runs
from tests.support.tiny import make_adapter, make_tiny_base
from training.adapters.export.adapter import adapter_to_gguf
from training.adapters.export.weights import to_gguf
from training.adapters.registry import AdapterVersion, Registry
from training.bases.bases import add_base
from training.cycle.context import TrainingContext, open_context
from training.cycle.rehearsal.alias import PROMOTED, ROLLED_BACK, move_alias
from training.cycle.rehearsal.served_answers import ServingPath

pytestmark = pytest.mark.slow


@dataclass
class Place:
    """An installation with two adapters, and a server that loaded both."""

    world: World
    context: TrainingContext
    versions: list[AdapterVersion]
    server: EmbeddedServer

    def path(self) -> ServingPath:
        return ServingPath(self.context, "c", [Repository("lib").manifest()])


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    world = World(tmp_path / "data")
    varied_gold_runs(world, Repository("lib"))
    base = add_base(world.curated, world.folder, make_tiny_base(tmp_path / "tiny"), "tiny")
    registry, versions, files = Registry(world.curated, world.folder), [], []
    for seed in (1, 2):
        made = trained(base.path, tmp_path / f"made-{seed}", seed)
        versions.append(
            registry.register(made, TrainingTarget.SCOPE, "tiny", "d" * 64, "p" * 64, {}, {"r": 4}, f"code-{seed}")
        )
        files.append(adapter_to_gguf(base.path, made, tmp_path / f"{versions[-1].served}.gguf"))
    server = serve(to_gguf(base.path, tmp_path / "base.gguf", precision="f32"), "scripted", 8192, files, key="")
    yield Place(world, open_context(_settings(world.folder, server.url)), versions, server)


def trained(base: Path, out: Path, seed: int, scale: float = 1.0) -> Path:
    """A random adapter of the base, as a training writes it; a small scale makes it change nothing."""
    made = make_adapter(base, out, seed=seed)
    weights = load_file(made / "adapter_model.safetensors")
    save_file({name: weight * scale for name, weight in weights.items()}, made / "adapter_model.safetensors")
    config = json.loads((made / "adapter_config.json").read_text())
    (made / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": "tiny"}))
    return made


def _settings(folder: Path, url: str, base: str = "tiny") -> Settings:
    here = Endpoint(url=url, model="scripted", base=base, window=8192, answer_tokens=64, attempts=1)
    models = ModelSettings(endpoints={"here": here}, roles=Roles(reasoning="here", coding="here"))
    return Settings(data_dir=folder, cache_dir=folder / "cache", models=models)


def test_the_promoted_adapter_answers_and_then_the_base(place: Place) -> None:
    version = place.versions[0]
    came = move_alias(place.context, version.id, {}, place.path())
    assert came.verdict == "ok"
    assert came.figures["actions"] == ["promote", "rollback"]
    assert came.figures["promoted"]["adapter"] == version.served
    assert came.figures["rolled_back"]["adapter"] == ""
    assert came.figures["effect_nats"] > 0.001
    raw = place.world.raw
    for phase, adapter in (("promoted", version.served), ("rolled_back", None)):
        [call] = AttemptLog(raw, raw.trace(came.figures[phase]["trajectory"])).calls
        assert (call.stage, call.adapter, call.endpoint) == ("scope", adapter, "here")
    again = move_alias(place.context, version.id, {}, place.path())
    assert again == came, "what was asked is on record"


def test_after_the_rollback_the_adapter_before_it_answers(place: Place) -> None:
    first, second = place.versions
    place.context.registry.promote(first, override="it serves")
    came = move_alias(place.context, second.id, {"scope": first.served}, place.path())
    assert came.figures["promoted"]["adapter"] == second.served
    assert came.figures["rolled_back"]["adapter"] == first.served
    assert came.figures["same_text"] is False


def test_a_route_that_does_not_follow_the_promotion_is_not_operational(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = place.versions[0]
    place.path().ask(PROMOTED)  # the base answers, as nothing is promoted yet
    with pytest.raises(NotOperational, match=f"while {version.name} was promoted the base alone answered"):
        move_alias(place.context, version.id, {}, place.path())
    assert place.context.registry.active(TrainingTarget.SCOPE) is None
    assert place.path().ask(ROLLED_BACK).adapter == ""


def test_an_adapter_without_effect_is_not_operational(place: Place, tmp_path: Path) -> None:
    empty = trained(tmp_path / "tiny", tmp_path / "empty", 3, 1e-12)
    registry = place.context.registry
    version = registry.register(empty, TrainingTarget.SCOPE, "tiny", "d" * 64, "p" * 64, {}, {"r": 4}, "code-3")
    file = adapter_to_gguf(tmp_path / "tiny", empty, tmp_path / f"{version.served}.gguf")
    server = serve(tmp_path / "base.gguf", "scripted", 8192, [file], key="")
    context = open_context(_settings(place.world.folder, server.url))
    with pytest.raises(ServingError, match="changes nothing"):
        move_alias(context, version.id, {}, ServingPath(context, "c", [Repository("lib").manifest()]))


def test_a_server_of_another_base_is_a_warning_with_a_remedy(place: Place) -> None:
    context = open_context(_settings(place.world.folder, place.server.url, base="another"))
    path = ServingPath(context, "c", [Repository("lib").manifest()])
    came = move_alias(context, place.versions[0].id, {}, path)
    assert (came.verdict, came.figures["actions"]) == ("warning", ["promote", "rollback"])
    assert "not configured to serve base tiny" in came.found[0] and "models.endpoints.here" in came.remedy


def test_a_server_that_has_not_loaded_it_is_a_warning(place: Place, tmp_path: Path) -> None:
    registry = place.context.registry
    late = trained(tmp_path / "tiny", tmp_path / "late", 7)
    version = registry.register(late, TrainingTarget.SCOPE, "tiny", "d" * 64, "p" * 64, {}, {"r": 4}, "code-4")
    came = move_alias(place.context, version.id, {}, place.path())
    assert (came.verdict, came.figures["actions"]) == ("warning", ["promote", "rollback"])
    assert "at its start only" in came.found[0]
