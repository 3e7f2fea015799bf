"""Model servers in air-gapped mode: those of other machines are not asked, and none leads elsewhere by a redirect."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from llm.check import check
from llm.service import open_service
from llm.serving.commands import ListenAddress, vllm
from llm.serving.http import ask
from models.errors import AirGapError, ProviderError
from models.llm_settings import ModelSettings, Roles, Teachers
from models.protocols import Stage
from models.serving_settings import ServingSettings
from tests.support.air_gapped import air_gapped
from tests.support.asking import endpoint, request, router
from tests.support.bad_server import ScriptedServer


@contextmanager
def redirecting(target: str) -> Iterator[str]:
    """URL of a server that sends every request on to another one, with its body."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(307)
            self.send_header("Location", target + self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST = answer

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("url", ["https://api.example/v1", "http://10.0.0.5:8000/v1", "http://localhost.evil.example/"])
def test_servers_of_other_machines_are_refused_before_a_key_is_read(url: str, tmp_path: Path) -> None:
    with air_gapped(tmp_path), pytest.raises(AirGapError, match="endpoint 'teacher'"):
        open_service("teacher", endpoint(url, api_key_env="NO_SUCH_VARIABLE"))


def test_a_listed_host_is_none_of_them(tmp_path: Path) -> None:
    with air_gapped(tmp_path, CRA_AIR_GAPPED_HOSTS='["10.0.0.5"]'):
        assert open_service("models", endpoint("http://10.0.0.5:8000/v1")).name == "models"


def test_the_check_reports_a_teacher_elsewhere_and_the_student_here(tmp_path: Path) -> None:
    with ScriptedServer('{"works": true}', window=4096) as server, air_gapped(tmp_path):
        models = ModelSettings(
            endpoints={"here": endpoint(server), "far": endpoint("https://api.example/v1")},
            roles=Roles(reasoning="here", coding="here"),
            teachers=Teachers(reasoning="far"),
        )
        far, here = check(models)
    assert here.usable
    assert "another machine" in far.fault
    assert not far.reachable


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    with ScriptedServer("hello", window=4096) as server, redirecting(server.root) as url, air_gapped(tmp_path):
        assert ask(f"{url}/v1/models").status == 307
        assert not ask(f"{url}/v1/models").good
        service = open_service("here", endpoint(f"{url}/v1", window=4096))
        with pytest.raises(ProviderError, match="307"):
            service.facts()
        one = router(f"{url}/v1", window=4096, tokenizer="")
        with pytest.raises(ProviderError):
            one.complete(Stage.SCOPE, request())
        assert server.requests == []


def test_vllm_is_not_fetched_for_the_occasion(tmp_path: Path) -> None:
    with air_gapped(tmp_path), pytest.raises(AirGapError, match=r"serving\.python"):
        vllm(ServingSettings(), "base", tmp_path, (), (), ListenAddress())
