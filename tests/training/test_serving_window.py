"""A reduced window holds where a base is served: each server is told of it, and a longer prompt is refused."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from llm.embedded import serve
from llm.serving.commands import ListenAddress
from llm.serving.http import ask
from models.errors import SettingsError
from models.serving_settings import ServingSettings
from models.settings import Settings
from store.database import open_database
from tests.support.tiny import make_tiny_base
from training.adapters.export.ollama import write_modelfile
from training.adapters.export.serving import Serving, ServingBackend
from training.adapters.export.weights import to_gguf
from training.bases.bases import Base, add_base
from training.bases.windows import reduced


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Base]:
    """A data directory, and a base with a window of 512 in it."""
    folder = tmp_path_factory.mktemp("window")
    curated = open_database(Settings(data_dir=folder).curated_url, "curated")
    base = add_base(curated, folder, make_tiny_base(folder / "source"), "tiny")
    return folder, add_base(curated, folder, reduced(base, 512, folder / "reduced"), "reasoning-512-base-v1")


def _command(made: tuple[Path, Base], backend: ServingBackend, window: int | None = None) -> list[str]:
    folder, base = made
    settings = Settings(
        data_dir=folder, cache_dir=folder / "cache", serving=ServingSettings(window=window, python="/bin/sh")
    )
    curated = open_database(settings.curated_url, "curated")
    return list(Serving(curated, settings, base, backend).launch(ListenAddress(), ready=False).argv)


@pytest.mark.parametrize(("backend", "option"), [("vllm", "--max-model-len"), ("llama", "--ctx-size")])
def test_a_server_is_told_of_the_base_s_window(made: tuple[Path, Base], backend: ServingBackend, option: str) -> None:
    command = _command(made, backend)
    assert command[command.index(option) + 1] == "512"
    smaller = _command(made, backend, 256)
    assert smaller[smaller.index(option) + 1] == "256"
    with pytest.raises(SettingsError, match=r"serving\.window is 1024, and base reasoning-512-base-v1 .* 512"):
        _command(made, backend, 1024)


def test_ollama_is_told_in_the_modelfile(made: tuple[Path, Base], tmp_path: Path) -> None:
    text = write_modelfile(made[1].path, tmp_path / "Modelfile", "base.gguf").read_text()
    assert "PARAMETER num_ctx 512\n" in text


@pytest.mark.skipif(find_spec("xllamacpp") is None, reason="needs the extra local")
def test_llama_cpp_refuses_what_is_longer(made: tuple[Path, Base], tmp_path: Path) -> None:
    command = _command(made, "llama")
    model = to_gguf(made[1].path, tmp_path / "base.gguf")
    server = serve(model, "reduced", int(command[command.index("--ctx-size") + 1]))
    replies = {}
    for length in (400, 600):
        body = {"prompt": [token % 200 + 300 for token in range(length)], "n_predict": 1}
        replies[length] = ask(f"{server.url.removesuffix('/v1')}/completion", body, key=server.key, timeout=120)
    assert replies[400].good
    assert not replies[600].good and "context" in replies[600].message
