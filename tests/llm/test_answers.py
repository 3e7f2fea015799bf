"""What comes back: texts apart from thinking, samples, seeds, schemas, tokens and what they cost."""

import json

import pytest

from models.errors import ProviderError
from models.llm_settings import Price
from models.protocols import Stage
from tests.support.asking import answer, endpoint, request, router
from tests.support.bad_server import Fail, Raw, Say, ScriptedServer

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


@pytest.mark.parametrize(
    ("said", "text", "trace"),
    [
        (Say("yes", trace="let me see"), "yes", "let me see"),
        (Say("yes", trace="let me see", trace_field="reasoning"), "yes", "let me see"),
        (Say("<think>let me see</think>\n\nyes"), "yes", "let me see"),
        (Say("let me see\n</think>\n\nyes"), "yes", "let me see"),
        (Say("<think>let me see"), "", "let me see"),
        (Say("say </think> or <think> in code"), "say </think> or <think> in code", ""),
    ],
)
def test_thinking_is_kept_apart(said: Say, text: str, trace: str) -> None:
    with ScriptedServer([said]) as server:
        [came] = router(server).complete(Stage.META_PLAN, request())
    assert (came.text, came.reasoning) == (text, trace)


def test_an_answer_in_another_language_is_an_answer() -> None:
    with ScriptedServer("当然可以！以下是计划：первый шаг 👍") as server:
        assert answer(router(server)) == "当然可以！以下是计划：первый шаг 👍"


def test_samples_are_asked_for_together() -> None:
    with ScriptedServer([["one", "two", "three"]]) as server:
        came = router(server, window=8000).complete(Stage.CODE, request(n=3, seed=7, temperature=0.8))
        assert len(server.requests) == 1
        assert server.requests[0]["n"] == 3
    assert [said.text for said in came] == ["one", "two", "three"]
    assert [said.completion_tokens for said in came] == [1, 1, 1]
    assert [said.cached_tokens for said in came][1:] == [came[0].prompt_tokens] * 2


def test_samples_are_asked_for_one_by_one_where_a_server_refuses_more() -> None:
    with ScriptedServer(lambda asked: f"seed {asked['seed']}", max_n=1) as server:
        asking = router(server, window=8000)
        came = asking.complete(Stage.CODE, request(n=3, seed=7, temperature=0.8))
        assert [said.text for said in came] == ["seed 7", "seed 8", "seed 9"]
        assert [said.seed for said in came] == [7, 8, 9]
        assert len(server.requests) == 4
        asking.complete(Stage.CODE, request(n=3, seed=7))
        assert len(server.requests) == 7  # the refusal is remembered


def test_samples_that_a_server_forgets_are_asked_for_again() -> None:
    chunk = {
        "id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m",
        "choices": [{"index": 0, "delta": {"content": "only one"}, "finish_reason": "stop"}],
    }  # fmt: skip
    only_one = Raw(f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode())
    with ScriptedServer([only_one]) as server:
        came = router(server, window=8000).complete(Stage.CODE, request(n=3))
        assert [said.text for said in came] == ["only one"] * 3


def test_one_sample_that_fails_ends_the_request() -> None:
    def script(asked: dict[str, int]) -> object:
        return Fail(401) if asked.get("seed") == 2 else "fine"

    with ScriptedServer(script, max_n=1) as server, pytest.raises(ProviderError, match="the key was refused"):
        router(server, window=8000).complete(Stage.CODE, request(n=3, seed=1))


def test_a_schema_is_sent_where_it_is_taken() -> None:
    with ScriptedServer('{"a": "b"}') as server:
        asking = router(server, window=8000)
        answer(asking, schema_=SCHEMA)
        answer(asking)
        first, second = server.requests
    assert first["response_format"]["json_schema"]["schema"] == SCHEMA
    assert "response_format" not in second


def test_a_refused_schema_is_left_out_and_not_tried_again() -> None:
    with ScriptedServer("text", schema=False) as server:
        asking = router(server, window=8000)
        assert answer(asking, schema_=SCHEMA) == "text"
        assert answer(asking, schema_=SCHEMA) == "text"
        assert ["response_format" in asked for asked in server.requests] == [True, False, False]


def test_schema_and_samples_may_both_be_refused() -> None:
    with ScriptedServer("text", schema=False, max_n=1) as server:
        came = router(server, window=8000).complete(Stage.CODE, request(n=2, schema_=SCHEMA))
    assert [said.text for said in came] == ["text", "text"]


def test_fields_that_a_server_does_not_know_are_put_otherwise_or_left_out() -> None:
    with ScriptedServer("one two three", unknown=["max_tokens", "stream_options"], schema=False, max_n=1) as server:
        asking = router(server, window=8000)
        for _ in range(2):
            came = asking.complete(Stage.CODE, request(n=2, schema_=SCHEMA, max_tokens=2))
            assert [(said.text, said.finish_reason) for said in came] == [("one two", "length")] * 2
        assert all(said.prompt_tokens > 0 for said in came)
        assert len(server.requests) == 4 + 2 + 2
        last = server.requests[-1]
    assert last["max_completion_tokens"] == 2
    assert not {"max_tokens", "stream_options", "response_format", "n"} & set(last)


def test_a_schema_can_be_switched_off_or_insisted_on() -> None:
    with ScriptedServer("text", schema=False) as server:
        assert answer(router(server, window=8000, json_schema=False), schema_=SCHEMA) == "text"
        assert len(server.requests) == 1
        with pytest.raises(ProviderError, match="json_schema = false"):
            answer(router(server, window=8000, json_schema=True), schema_=SCHEMA)


def test_tokens_and_cost() -> None:
    price = Price(input=2.0, cached_input=0.5, output=10.0)
    with ScriptedServer([Say("one two three", cached=40)]) as server:
        asking = router(server, window=8000, price=price)
        [said] = asking.complete(Stage.CODE, request("word " * 100))
    assert (said.cached_tokens, said.completion_tokens) == (40, 3)
    assert said.cost == pytest.approx(((said.prompt_tokens - 40) * 2.0 + 40 * 0.5 + 3 * 10.0) / 1e6)
    assert asking.meter.spent.cost == pytest.approx(said.cost)
    assert asking.meter.spent.cached_tokens == 40


def test_cost_of_samples_adds_up_to_that_of_the_call() -> None:
    with ScriptedServer([["a b", "c d e", "f"]]) as server:
        asking = router(server, window=8000, price=Price(input=1.0, output=1.0))
        came = asking.complete(Stage.CODE, request(n=3))
    assert sum(said.cost for said in came) == pytest.approx(asking.meter.spent.cost)
    assert sum(said.completion_tokens for said in came) == asking.meter.spent.completion_tokens == 6


def test_cached_tokens_as_llama_cpp_reports_them() -> None:
    with ScriptedServer("one two", flavour="llama.cpp") as server:
        asking = router(server)
        first, second = (asking.complete(Stage.CODE, request("word " * 30))[0] for _ in range(2))
    assert (first.cached_tokens, second.cached_tokens) == (0, second.prompt_tokens - 1)


def test_thinking_is_switched_and_given_its_tokens() -> None:
    with ScriptedServer("yes") as server:
        answer(router(server, window=8000, thinking=True, thinking_tokens=1000))
        answer(router(server, window=8000, thinking=False))
        on, off = server.requests
    assert (on["chat_template_kwargs"], on["max_tokens"]) == ({"enable_thinking": True}, 1050)
    assert (off["chat_template_kwargs"], off["max_tokens"]) == ({"enable_thinking": False}, 50)


def test_fields_that_a_provider_has_of_its_own_are_sent() -> None:
    with ScriptedServer("yes") as server:
        answer(router(server, window=8000, extra_body={"top_k": 20}))
        assert server.requests[0]["top_k"] == 20


def test_the_same_endpoint_has_one_client_in_a_process() -> None:
    with ScriptedServer("yes") as server:
        first, second = router(server), router(server)
        assert first.routes[Stage.CODE].service is second.routes[Stage.SCOPE].service
        assert endpoint(server) == endpoint(server)
