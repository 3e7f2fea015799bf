"""A provider's fault is retried where that helps, ends as a ProviderError that says what to do, and leaks no key."""

import json
import socket
import time
import traceback

import pytest

from models.errors import ProviderError
from models.protocols import Stage
from tests.support.asking import answer, request, router
from tests.support.bad_server import Endless, Fail, HangUp, NoChoices, Raw, Say, ScriptedServer, Stall

SLOW_DOWN = Fail(429, "too many requests", kind="rate_limit_error", headers={"Retry-After": "0"})


def fails(server: ScriptedServer | str, **settings: object) -> str:
    """The message of the ProviderError that a call ends with: one line that names the endpoint."""
    with pytest.raises(ProviderError) as caught:
        answer(router(server, window=8000, **settings))
    message = str(caught.value)
    assert message.startswith("endpoint 'here': ")
    assert "\n" not in message
    return message


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    message = fails(url, tokenizer="", attempts=2)
    assert "no connection" in message
    assert "start the server" in message


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_not_tried_again(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-very-secret-0123456789")
    refusal = Fail(status, "Incorrect API key provided: sk-very-secret-0123456789 (sk-very...6789).")
    with ScriptedServer([refusal]) as server:
        message = fails(server, api_key_env="SOME_KEY")
        assert len(server.requests) == 1
    assert "api_key_env" in message
    assert "secret" not in message


def test_no_traceback_shows_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "plain-secret-key-of-theirs")
    with ScriptedServer("fine", api_key="another") as server, pytest.raises(ProviderError) as caught:
        answer(router(server, api_key_env="SOME_KEY", window=8000))
    shown = "".join(traceback.format_exception(caught.value, chain=True))
    assert "plain-secret" not in shown
    assert "plain-secret" not in repr(caught.value.__cause__)


def test_the_right_key_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "right")
    with ScriptedServer("fine", api_key="right") as server:
        assert answer(router(server, api_key_env="SOME_KEY")) == "fine"


def test_settings_of_another_provider_are_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not-for-you")
    with ScriptedServer("fine", api_key="none") as server:
        assert answer(router(server)) == "fine"


def test_a_storm_passes() -> None:
    with ScriptedServer([SLOW_DOWN, SLOW_DOWN, "at last"]) as server:
        [said] = router(server, window=8000).complete(Stage.CODE, request())
    assert (said.text, said.retries) == ("at last", 2)


def test_retry_after_is_waited_for() -> None:
    with ScriptedServer([Fail(429, headers={"Retry-After": "1"}), "at last"]) as server:
        started = time.monotonic()
        assert answer(router(server, window=8000, max_wait=5.0)) == "at last"
        assert time.monotonic() - started >= 1.0


def test_a_wait_above_the_ceiling_is_given_up_and_the_endpoint_left_alone() -> None:
    with ScriptedServer([Fail(429, "come back tomorrow", headers={"Retry-After": "86400"}), "fine"]) as server:
        asking = router(server, window=8000)
        with pytest.raises(ProviderError, match="HTTP 429"):
            answer(asking)
        with pytest.raises(ProviderError, match="not asked again"):
            answer(asking)
        assert len(server.requests) == 1


def test_a_storm_that_does_not_pass() -> None:
    with ScriptedServer([SLOW_DOWN]) as server:
        message = fails(server)
        assert len(server.requests) == 3
    assert "429" in message
    assert "(3 tries)" in message


def test_an_account_without_credit_is_not_asked_again() -> None:
    with ScriptedServer([Fail(429, "You exceeded your current quota", code="insufficient_quota")]) as server:
        assert "out of credit" in fails(server)
        assert len(server.requests) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 529])
def test_a_server_that_recovers(status: int) -> None:
    with ScriptedServer([Fail(status, body="<html>bad gateway</html>"), Fail(status), "good again"]) as server:
        assert answer(router(server, window=8000)) == "good again"


def test_a_server_that_does_not_recover() -> None:
    with ScriptedServer([Fail(500, "out of memory\nin two lines")]) as server:
        assert "HTTP 500: out of memory in two lines" in fails(server)


def test_an_endpoint_that_failed_three_calls_is_left_alone_until_it_may_be_tried_again() -> None:
    behaviours = [*[Fail(500)] * 4, "good again"]
    with ScriptedServer(behaviours) as server:
        asking = router(server, window=8000, attempts=1, max_wait=2.0)
        for _ in range(3):
            with pytest.raises(ProviderError, match="HTTP 500"):
                answer(asking)
        with pytest.raises(ProviderError, match="not asked again"):
            answer(asking)
        assert len(server.requests) == 3
        time.sleep(2.1)
        with pytest.raises(ProviderError, match="HTTP 500"):
            answer(asking)
        time.sleep(2.1)
        assert answer(asking) == "good again"
        assert answer(asking) == "good again"


def test_a_stream_that_stalls() -> None:
    with ScriptedServer([Stall("half an ans"), "whole"]) as server:
        assert answer(router(server, window=8000, stall=0.3)) == "whole"
    with ScriptedServer([Stall("half an ans")]) as server:
        assert "stalled for 0.3 s (2 tries)" in fails(server, stall=0.3)


def test_a_stream_that_never_starts() -> None:
    with ScriptedServer([Stall()]) as server:
        assert "no whole answer within 0.5 s" in fails(server, timeout=0.5)


CHUNK = b'data: {"id":"c","object":"chat.completion.chunk","created":0,"model":"m","choices":[{"index":0,"delta":'


@pytest.mark.parametrize(
    ("behaviour", "what"),
    [
        (Raw(CHUNK + b'{"content":"hal', hang_up=True), "broke"),
        (Raw(CHUNK + b'{"content":"hal\n\n'), "JSON"),
        (Raw(CHUNK + b'{"content":"half"},"finish_reason":null}]}\n\n'), "ended before the answer did"),
        (Raw(CHUNK + b'{"content":"all"},"finish_reason":"error"}]}\n\ndata: [DONE]\n\n'), "'error'"),
        (Raw(b'data: {"choices": "none"}\n\n'), "JSON"),
        (Raw(b'data: {"choices": [{"delta": 3, "index": "x"}]}\n\n'), "JSON"),
        (Raw(b'data: [1, 2]\n\n'), "JSON"),
        (Raw(b'data: {"error": {"message": "CUDA error"}}\n\n'), "CUDA error"),
        (Raw(b"\xff\xfe\x00", content_type="application/octet-stream"), "JSON"),
        (Raw(b"<html>log in</html>", content_type="text/html"), "without any choice"),
        (NoChoices(), "without any choice"),
        (HangUp(), "broke"),
    ],
)  # fmt: skip
def test_rubbish_is_the_providers_fault(behaviour: object, what: str) -> None:
    with ScriptedServer([behaviour]) as server:
        assert what in fails(server)
        assert len(server.requests) == 3
    with ScriptedServer([behaviour, "good again"]) as server:
        assert answer(router(server, window=8000)) == "good again"


def test_a_model_that_is_not_there() -> None:
    with ScriptedServer("fine", models=["other"], strict_models=True) as server:
        assert "cra models check" in fails(server)
        assert len(server.requests) == 1


def test_a_refusal_for_another_reason_names_the_reason() -> None:
    with ScriptedServer([Fail(400, "temperature must be below 1", param="temperature")]) as server:
        assert "temperature must be below 1" in fails(server)
        assert len(server.requests) == 1


def test_an_endless_generation_is_the_models_failure() -> None:
    with ScriptedServer([Endless()]) as server:
        [said] = router(server, window=8000).complete(Stage.CODE, request(max_tokens=20))
    assert (said.finish_reason, said.text, said.completion_tokens) == ("length", " again" * 20, 20)


def test_a_server_that_ignores_max_tokens_is_cut_off() -> None:
    def forever(asked: dict[str, object]) -> Endless:
        del asked["max_tokens"]
        return Endless()

    with ScriptedServer(forever) as server:
        [said] = router(server, window=8000).complete(Stage.CODE, request(max_tokens=20))
    assert said.finish_reason == "length"
    assert 20 < said.completion_tokens < 200


def test_what_an_answer_that_broke_off_had_cost_is_counted() -> None:
    with ScriptedServer(
        [Raw(CHUNK + b'{"content":"half"},"finish_reason":null}]}\n\n'), Say("whole answer")]
    ) as server:
        asking = router(server, window=8000)
        answer(asking)
    spent = asking.meter.spent
    assert (spent.calls, spent.completion_tokens) == (2, 3)


def test_a_queue_of_calls_survives_a_storm() -> None:
    import threading

    seen = 0
    lock = threading.Lock()

    def script(_: dict[str, object]) -> object:
        nonlocal seen
        with lock:
            seen += 1
            return SLOW_DOWN if seen <= 6 else "fine"

    with ScriptedServer(script) as server:
        asking = router(server, window=8000, concurrency=6, attempts=8, max_wait=0.1)
        answers: list[str] = []
        threads = [threading.Thread(target=lambda: answers.append(answer(asking))) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == ["fine"] * 12
        assert server.most_in_flight <= 6


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (CHUNK + b'{"content":"half"},"finish_reason":null}]}\n\n', "half"),
        (b"", ""),
    ],
)
def test_what_the_server_cannot_parse_is_the_answer_of_the_model(sent: bytes, said: str) -> None:
    unread = {"code": 500, "message": "The model produced output that does not match the expected peg-native format"}
    event = f"data: {json.dumps({'error': unread})}\n\n".encode()
    with ScriptedServer([Raw(sent + event)]) as server:
        assert answer(router(server, window=8000)) == said
        assert len(server.requests) == 1, "the same model says the same again"
