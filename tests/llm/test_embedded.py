"""The model inside the process, for real: offline, small, and good enough for every stage to run."""

import json
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from llm import ChatRequest, Message, Router, embedded, open_router
from models.errors import PromptTooLong, SettingsError
from models.llm_settings import ModelSettings
from models.protocols import Stage

pytestmark = pytest.mark.slow

SCHEMA = {
    "type": "object",
    "properties": {"files": {"type": "array", "items": {"enum": ["a.py", "b.py"]}, "maxItems": 2}},
    "required": ["files"],
    "additionalProperties": False,
}
PREFIX = "You read code.\n" + "".join(f"def function_{number}(x): return x + {number}\n" for number in range(12))


@pytest.fixture(scope="module")
def student() -> Iterator[Router]:
    yield open_router(ModelSettings(), "student")


def ask(text: str, **fields: object) -> ChatRequest:
    messages = (Message(role="system", content=PREFIX), Message(role="user", content=text))
    return ChatRequest(**({"messages": messages, "max_tokens": 12, "seed": 1} | fields))


def test_it_answers_by_schema(student: Router) -> None:
    [said] = student.complete(Stage.SCOPE, ask("Which files matter?", max_tokens=60, schema_=SCHEMA))
    if said.finish_reason == "stop":
        assert set(json.loads(said.text)) == {"files"}
    assert said.text.lstrip().startswith("{")
    assert (said.endpoint, said.adapter) == ("embedded", None)


def test_the_same_seed_says_the_same(student: Router) -> None:
    first, second = (student.complete(Stage.CODE, ask("Say it.", temperature=0.8, seed=5))[0] for _ in range(2))
    assert first.text == second.text


def test_samples_share_their_prefill(student: Router) -> None:
    came = student.complete(Stage.CODE, ask("Write a function.", n=3, temperature=0.8))
    assert len({said.text for said in came}) > 1
    prompt, cached = (sum(getattr(said, name) for said in came) for name in ("prompt_tokens", "cached_tokens"))
    assert cached >= 0.6 * prompt


def test_the_stable_part_of_a_prompt_is_computed_once(student: Router) -> None:
    student.complete(Stage.CODE, ask("First question"))
    [second] = student.complete(Stage.CODE, ask("Another one"))
    assert second.cached_tokens > 0.7 * second.prompt_tokens


def test_counts_are_those_of_the_server(student: Router) -> None:
    question = ask("How many tokens has größer?")
    [said] = student.complete(Stage.CODE, question)
    counter = student.routes[Stage.CODE].service.counter
    assert counter.exact
    assert counter.prompt(question.messages) == said.prompt_tokens


def test_its_window_sets_the_budget(student: Router) -> None:
    assert student.max_prompt_tokens(Stage.CODE, 6144) <= 8192 // 2
    with pytest.raises(PromptTooLong, match="8192"):
        student.complete(Stage.CODE, ask("word " * 9000))


def test_threads_share_one_server(student: Router) -> None:
    urls: list[str] = []
    threads = [threading.Thread(target=lambda: urls.append(embedded.start(8192).url)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(urls)) == 1


def test_it_listens_on_loopback_and_wants_its_key(student: Router) -> None:
    running = embedded.start(8192)
    assert running.url.startswith("http://127.0.0.1:")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(running.url.removesuffix("/v1") + "/props")


def test_an_endless_generation_ends_at_its_limit(student: Router) -> None:
    [said] = student.complete(Stage.CODE, ask("Count: 1 2 3 4 5 6 7 8 9 10 11 12 13 14", max_tokens=8))
    assert (said.finish_reason, said.completion_tokens) == ("length", 8)


def test_a_process_that_used_it_ends_by_itself_and_quietly() -> None:
    code = (
        "from llm import *\nfrom models.llm_settings import ModelSettings\nfrom models.protocols import Stage\n"
        "r = open_router(ModelSettings(), 'student')\n"
        "q = ChatRequest(messages=(Message(role='user', content='hi'),), max_tokens=3)\n"
        "print(len(r.complete(Stage.CODE, q)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


def test_without_the_extra_the_remedy_is_said() -> None:
    code = (
        "import sys\nsys.modules['xllamacpp'] = None\n"
        "from llm import open_router\nfrom models.llm_settings import ModelSettings\n"
        "open_router(ModelSettings(), 'student')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert SettingsError.__name__ in done.stderr
    assert "uv sync --inexact --extra local" in done.stderr
