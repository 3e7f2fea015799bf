"""Servers started, watched, given adapters and stopped: real processes that play vLLM, well-behaved and not."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm.serving.commands import AdapterSpec, ListenAddress, ServerLaunch, llama, lora_rank, ollama, vllm
from llm.serving.probe import Probe
from llm.serving.process import ServerProcess
from llm.serving.server import sync
from llm.serving.supervisor import ServerSupervisor
from models.errors import ServingError, SettingsError
from models.serving_settings import ServingSettings
from tests.support.doubles import DOUBLE, Start, doubles, free_port, plan


def adapter(folder: Path, name: str) -> AdapterSpec:
    path = folder / name
    path.mkdir()
    (path / "adapter_config.json").write_text("{}")
    return AdapterSpec(name, path, 8)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with doubles(tmp_path) as begin:
        yield begin


def test_adapters_are_loaded_proven_and_unloaded(start: Start, tmp_path: Path) -> None:
    _, server = start()
    wanted = [adapter(tmp_path, "scope-v1-aa"), adapter(tmp_path, "code-v1-bb")]
    done = sync(server, wanted)
    assert [each.name for each in done.loaded] == ["scope-v1-aa", "code-v1-bb"]
    assert all(each.effect > 0 for each in done.loaded)
    assert sync(server, wanted, [each.name for each in done.loaded]) == ((), {}, {})
    newer = adapter(tmp_path, "scope-v2-cc")
    sync(server, [newer])
    assert {"scope-v1-aa", "scope-v2-cc"} <= set(server.names())
    server.unload("scope-v1-aa")
    with pytest.raises(ServingError, match="cannot be found"):
        server.unload("scope-v1-aa")


def test_an_adapter_that_answers_as_the_base_is_taken_out_again(start: Start, tmp_path: Path) -> None:
    _, server = start("as-base")
    with pytest.raises(ServingError, match="answers as the base"):
        server.load(*adapter(tmp_path, "scope-v1-aa")[:2])
    assert set(server.names()) == {"base"}


def test_one_refused_adapter_does_not_keep_the_others_out(start: Start, tmp_path: Path) -> None:
    _, server = start()
    done = sync(server, [AdapterSpec("gone-v1-aa", tmp_path / "gone"), adapter(tmp_path, "scope-v1-aa")])
    assert [each.name for each in done.loaded] == ["scope-v1-aa"]
    assert "No adapter found" in done.failed["gone-v1-aa"]


def test_a_second_load_that_is_refused_is_said(start: Start, tmp_path: Path) -> None:
    _, server = start("once")
    done = sync(server, [adapter(tmp_path, "scope-v1-aa"), adapter(tmp_path, "code-v1-bb")])
    assert [each.name for each in done.loaded] == ["scope-v1-aa"]
    assert "already been loaded" in done.failed["code-v1-bb"]


def test_a_name_never_changes_what_it_means(start: Start, tmp_path: Path) -> None:
    _, server = start()
    server.load(*adapter(tmp_path, "scope-v1-aa")[:2])
    with pytest.raises(ServingError, match=str(tmp_path)):
        server.load("scope-v1-aa", tmp_path / "elsewhere")


def test_a_server_that_is_too_slow_is_given_up(start: Start, tmp_path: Path) -> None:
    _, server = start("slow", timeout=0.5)
    with pytest.raises(ServingError, match="does not answer"):
        server.load(*adapter(tmp_path, "scope-v1-aa")[:2])


def test_another_model_on_the_port_is_noticed(start: Start) -> None:
    _, server = start("other")
    with pytest.raises(ServingError, match="serves another, not base"):
        server.warm()


def test_a_server_that_ends_at_its_start_is_named_with_its_last_words(start: Start) -> None:
    with pytest.raises(ServingError, match="no memory for the cache"):
        start("crash")


def test_a_server_that_never_answers_is_stopped(start: Start) -> None:
    with pytest.raises(ServingError, match="did not answer"):
        start("deaf", startup=3.0)


def test_a_taken_port_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        place = ListenAddress(port=int(taken.getsockname()[1]))
        with pytest.raises(ServingError, match="is not free"):
            ServerProcess(plan(tmp_path, place=place), tmp_path / "log").start()


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ServingError, match="no-such-server"):
        ServerProcess(ServerLaunch(("no-such-server",), ListenAddress(port=free_port())), tmp_path / "log").start()


def test_a_server_that_dies_is_started_again_with_its_adapters(start: Start, tmp_path: Path) -> None:
    process, server = start()
    wanted = [adapter(tmp_path, "scope-v1-aa")]
    said: list[str] = []
    keeper = ServerSupervisor(process, server, lambda: wanted, said.append)
    keeper.update()
    assert keeper.state("scope-v1-aa") == "serving"
    assert process._process is not None
    os.kill(process._process.pid, signal.SIGKILL)
    process._process.wait()
    keeper.tend()
    assert process.running
    assert keeper.state("scope-v1-aa") == "serving"
    assert "scope-v1-aa" in server.names()


def test_what_is_promoted_meanwhile_is_loaded(start: Start, tmp_path: Path) -> None:
    process, server = start()
    wanted: list[AdapterSpec] = []
    keeper = ServerSupervisor(process, server, lambda: wanted, lambda _: None)
    keeper.tend()
    wanted.append(adapter(tmp_path, "scope-v1-aa"))
    assert keeper.state("scope-v1-aa") == "not loaded"
    keeper.tend()
    assert keeper.state("scope-v1-aa") == "serving"


def test_an_adapter_that_the_server_was_too_slow_for_is_tried_again(start: Start, tmp_path: Path) -> None:
    process, server = start("stall", timeout=0.5)
    wanted = [adapter(tmp_path, "scope-v1-aa")]
    said: list[str] = []
    keeper = ServerSupervisor(process, server, lambda: wanted, said.append)
    keeper.tend()
    assert keeper.state("scope-v1-aa") == "not loaded"
    assert "scope-v1-aa" in said[-1]
    time.sleep(2)
    keeper.tend()
    assert keeper.state("scope-v1-aa") == "serving"


def test_a_server_that_keeps_dying_is_given_up(start: Start) -> None:
    process, _ = start(restarts=1)
    assert process._process is not None
    process.launch = ServerLaunch((sys.executable, "-c", "raise SystemExit(3)"), process.launch.place)
    os.kill(process._process.pid, signal.SIGKILL)
    process._process.wait()
    with pytest.raises(ServingError, match=process.log.name):
        process.ensure()


def test_it_dies_with_whoever_started_it(tmp_path: Path) -> None:
    port = free_port()
    code = (
        "import sys, time\nfrom pathlib import Path\n"
        "from llm.serving.commands import ListenAddress, vllm\nfrom llm.serving.process import ServerProcess\n"
        "from models.serving_settings import ServingSettings\n"
        f"settings = ServingSettings(python=sys.executable, environment={{'PYTHONPATH': {str(DOUBLE)!r}}})\n"
        f"folder = Path({str(tmp_path)!r})\n"
        f"process = ServerProcess(vllm(settings, 'base', folder, [], [], ListenAddress(port={port})), folder / 'log')\n"
        "process.start()\nprint(process._process.pid, flush=True)\ntime.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    server = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for _ in range(100):
        if not Path(f"/proc/{server}").exists() or " Z " in Path(f"/proc/{server}/stat").read_text():
            return
        time.sleep(0.1)
    pytest.fail("the server outlived its parent")


def test_others_reach_it_only_when_that_is_said_and_with_a_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--open-to-network"):
        ListenAddress("0.0.0.0").checked(open_to_network=False)
    with pytest.raises(SettingsError, match="--api-key-env"):
        ListenAddress("0.0.0.0").checked(open_to_network=True)
    monkeypatch.setenv("MY_KEY", "secret-word")
    place = ListenAddress("0.0.0.0", 8000, "MY_KEY").checked(open_to_network=True)
    launch = plan(tmp_path, place=place, wanted=(AdapterSpec("scope-v1-aa", tmp_path, 8),))
    assert launch.env["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "False"
    assert f"scope-v1-aa={tmp_path}" in launch.argv
    assert "secret-word" not in " ".join([*launch.argv, *launch.shown(), repr(launch)])
    assert launch.secret == {"VLLM_API_KEY": "secret-word"}
    monkeypatch.delenv("MY_KEY")
    with pytest.raises(SettingsError, match="MY_KEY"):
        plan(tmp_path, place=place)


def test_with_a_key_every_path_asks_for_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MY_KEY", "secret-word")
    launch = plan(tmp_path, place=ListenAddress(port=free_port(), key_env="MY_KEY"))
    assert str(DOUBLE) in launch.env["PYTHONPATH"].split(os.pathsep)
    named = launch.argv[launch.argv.index("--middleware") + 1]
    asked = [("http", "/v1/models"), ("http", "/health"), ("http", "/invocations"), ("websocket", "/other")]
    code = (
        f"import asyncio, importlib\nmodule, name = {named!r}.rsplit('.', 1)\nsaid = []\n"
        "async def app(scope, receive, send):\n    await send({'type': 'passed'})\n"
        "async def send(message):\n    said.append(message.get('status', message['type']))\n"
        "layer = getattr(importlib.import_module(module), name)(app)\n"
        "asyncio.run(layer({'type': 'lifespan'}, None, send))\n"
        "for headers in ([], [(b'authorization', b'Bearer other')], [(b'authorization', b'Bearer secret-word')]):\n"
        f"    for kind, path in {asked}:\n"
        "        asyncio.run(layer({'type': kind, 'path': path, 'headers': headers}, None, send))\n"
        "print([each for each in said if each != 'http.response.body'])\n"
    )
    env = {**os.environ, **launch.env, **launch.secret}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True, cwd=tmp_path
    )
    without = [401, "passed", 401, "websocket.close"]
    assert done.stdout.strip() == str(["passed", *without, *without, *["passed"] * 4])


def test_no_page_in_a_browser_may_ask_it(tmp_path: Path) -> None:
    argv = plan(tmp_path).argv
    assert argv[argv.index("--allowed-origins") + 1] == "[]"
    assert "--middleware" not in argv


@pytest.mark.parametrize("argument", ["--host", "--host=0.0.0.0", "--port", "--uds=/tmp/socket"])
def test_further_arguments_do_not_move_it(tmp_path: Path, argument: str) -> None:
    with pytest.raises(SettingsError, match=r"serving\.arguments: --"):
        vllm(
            ServingSettings(python=sys.executable, arguments=(argument, "x")), "base", tmp_path, [], [], ListenAddress()
        )


@pytest.mark.parametrize(("ranks", "wanted"), [([], 32), ([8], 32), ([33], 64), ([129, 16], 256), ([300], 320)])
def test_ranks_are_rounded_up_to_what_the_server_takes(ranks: list[int], wanted: int) -> None:
    assert lora_rank(ranks) == wanted


def test_a_rank_beyond_all_is_refused() -> None:
    with pytest.raises(ServingError, match="513"):
        lora_rank([513])


def test_a_missing_python_is_a_matter_of_settings(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"serving\.python"):
        vllm(ServingSettings(python=str(tmp_path / "none")), "base", tmp_path, [], [], ListenAddress())


def test_commands_of_the_fallbacks(tmp_path: Path) -> None:
    wanted = [AdapterSpec("scope-v1-aa", tmp_path / "scope-v1-aa.gguf")]
    started = llama(ServingSettings(window=4096), "base", tmp_path / "base.gguf", wanted, ListenAddress(port=9000))
    words = " ".join(started.argv)
    assert "--lora-init-without-apply" in words
    assert f"--lora {tmp_path / 'scope-v1-aa.gguf'}" in words
    assert "--ctx-size 4096" in words
    models = ollama([("scope-v1-aa", tmp_path / "Modelfile")], ListenAddress(port=11434))
    assert models.env == {"OLLAMA_HOST": "127.0.0.1:11434"}
    assert models.then == (("ollama", "create", "scope-v1-aa", "-f", str(tmp_path / "Modelfile")),)


def test_noise_is_no_effect() -> None:
    answers = iter([{"next a": -1.0}, {"next a": -1.01}, {"next a": -1.03}, {"next a": -1.2}])
    probe = Probe(lambda _: next(answers))
    with pytest.raises(ServingError, match="changes nothing"):
        probe.effect("first")
    assert probe.effect("second") == pytest.approx(0.2)
