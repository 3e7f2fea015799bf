"""`cra serve` and `cra export-adapter` as a user runs them, on a registry with a tiny base; a double plays vLLM."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from models.settings import Settings
from models.training import TrainingTarget
from store.database import open_database
from tests.support.commands import Result, invoke
from tests.support.tiny import make_adapter, make_tiny_base
from training.adapters.export.serving import Serving, make_ready
from training.adapters.registry import Registry
from training.bases.bases import add_base

pytestmark = pytest.mark.slow

DOUBLE = Path(__file__).parents[1] / "support" / "vllm_double"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, str]:
    """Settings of a registry with one active adapter, and its served name."""
    root = tmp_path_factory.mktemp("served")
    settings = Settings(data_dir=root / "data", cache_dir=root / "cache")
    curated = open_database(settings.curated_url, "curated")
    base = add_base(curated, settings.data_dir, make_tiny_base(root / "base"), "tiny")
    adapter = make_adapter(base.path, root / "adapter")
    config = adapter / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"base_model_name_or_path": "tiny"}))
    registry = Registry(curated, settings.data_dir)
    version = registry.register(adapter, TrainingTarget.SCOPE, "tiny", "none", "none", {}, {}, "none")
    registry.promote(version, override="a trial")
    return settings, version.served


def ours(settings: Settings) -> dict[str, str]:
    return {
        "CRA_DATA_DIR": str(settings.data_dir),
        "CRA_CACHE_DIR": str(settings.cache_dir),
        "CRA_SERVING__PYTHON": sys.executable,
        "CRA_SERVING__ENVIRONMENT": json.dumps({"PYTHONPATH": str(DOUBLE)}),
        "OMP_NUM_THREADS": "1",
    }


def cra(settings: Settings, *words: str) -> Result:
    return invoke(*words, cwd=settings.data_dir.parent, **ours(settings))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_what_would_be_run_for_each_server(served: tuple[Settings, str]) -> None:
    settings, name = served
    for backend, word in (("vllm", "--max-lora-rank 32"), ("llama", f"{name}.gguf"), ("ollama", f"create {name}")):
        done = cra(settings, "serve", "--backend", backend, "--dry-run", "--json")
        said = json.loads(done.stdout)
        assert word in " ".join(said["commands"])
        by_stage = {row["stage"]: row["served"] for row in said["stages"]}
        assert by_stage["scope"] == name
        assert by_stage["code"] == "tiny"
    assert not (settings.data_dir / "adapters-gguf").exists()


def test_it_serves_until_it_is_interrupted_and_leaves_nothing_behind(served: tuple[Settings, str]) -> None:
    settings, name = served
    port = free_port()
    command = [sys.executable, "-c", "from cli.main import main; main()", "serve", "--port", str(port), "--json"]
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("CRA_")}
    running = subprocess.Popen(
        command, env=inherited | ours(settings), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    lines: list[str] = []
    while not lines or lines[-1] != "}\n":
        lines.append(running.stdout.readline())
        assert lines[-1], running.communicate()[1]
    said = json.loads("".join(lines))
    assert {row["stage"]: row["state"] for row in said["stages"]}["scope"] == "serving"
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=180)
    assert running.returncode == 0
    assert f"{name}: loaded" in errors
    assert "stopped" in errors
    time.sleep(0.2)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_the_network_is_not_opened_by_the_way(served: tuple[Settings, str]) -> None:
    done = cra(served[0], "serve", "--host", "0.0.0.0", "--dry-run")
    assert done.returncode == 2
    assert "--open-to-network" in done.stderr


def test_files_for_llama_and_ollama_are_made_once(served: tuple[Settings, str]) -> None:
    settings, name = served
    curated = open_database(settings.curated_url, "curated")
    version = Registry(curated, settings.data_dir).show(name)
    from training.bases.bases import find_base

    base = find_base(curated, "tiny")
    assert make_ready(curated, settings, version, base) is None
    [wanted] = Serving(curated, settings, base, "llama").wanted()
    assert wanted.path == settings.data_dir / "adapters-gguf" / f"{name}.gguf"
    assert wanted.path.is_file()
    from llm.serving.commands import ListenAddress

    launch = Serving(curated, settings, base, "ollama").launch(ListenAddress())
    assert [command[2] for command in launch.then] == ["tiny", name]
    for command in launch.then:
        text = Path(command[4]).read_text()
        assert (Path(command[4]).parent / "base.gguf").is_file()
        assert ("ADAPTER" in text) == (command[2] == name)


def test_an_adapter_is_exported_by_its_name(served: tuple[Settings, str], tmp_path: Path) -> None:
    settings, name = served
    done = cra(settings, "export-adapter", "scope-v1", "--out", str(tmp_path / "out"), "--json")
    assert json.loads(done.stdout)["files"] == [str(tmp_path / "out" / f"{name}.gguf")]
    wrong = cra(settings, "export-adapter", "scope-v9")
    assert wrong.returncode == 1
    assert "known: scope-v1" in wrong.stderr
    other = cra(settings, "export-adapter", "scope-v1", "--embedded")
    assert "was not trained on the embedded model" in other.stderr
