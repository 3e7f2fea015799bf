"""Which model answers which stage, and what becomes of prompts that do not fit it."""

from dataclasses import replace
from hashlib import sha256

import pytest

from llm import ChatRequest, Router, open_router
from llm.router import _who
from models.edits import EditFormat
from models.errors import PromptTooLong, ProviderError, SettingsError
from models.llm_settings import ModelSettings, Roles, Teachers
from models.protocols import Stage
from tests.support.asking import answer, endpoint, request, router
from tests.support.bad_server import ScriptedServer

PLANS = (Stage.META_PLAN, Stage.PART_PLAN, Stage.TEST_PLAN, Stage.ADJUSTMENT)


def asked(router: Router, stage: Stage, question: ChatRequest | None = None) -> tuple[str, str | None, str]:
    [said] = router.complete(stage, question or request())
    return said.endpoint, said.adapter, said.model


def test_stages_go_to_their_roles_and_overrides_to_their_adapters() -> None:
    with ScriptedServer("fine", models=["base", "scope-v1", "code-v2"], strict_models=True) as server:
        models = ModelSettings(
            endpoints={
                "thinker": endpoint(server, model="base", window=8000),
                "coder": endpoint(server, model="base", window=8000, edit_format=EditFormat.WHOLE_SYMBOL),
            },
            roles=Roles(reasoning="thinker", coding="coder"),
            overrides={Stage.SCOPE: "scope-v1", Stage.CODE: "code-v2"},
        )
        student = open_router(models, "student")
        assert asked(student, Stage.CODE) == ("coder", "code-v2", "code-v2")
        assert asked(student, Stage.SCOPE) == ("thinker", "scope-v1", "scope-v1")
        for stage in set(Stage) - {Stage.CODE, Stage.SCOPE}:
            assert asked(student, stage) == ("thinker", None, "base")
        assert student.edit_format(Stage.CODE) is EditFormat.WHOLE_SYMBOL


def test_teachers_by_use() -> None:
    with ScriptedServer("fine") as server:
        models = ModelSettings(
            endpoints={name: endpoint(server, window=9000) for name in ("all", "plans", "codes", "checks")},
            teachers=Teachers(reasoning="all", planning="plans", coding="codes", check="checks"),
            overrides={Stage.SCOPE: "scope-v1"},
        )
        teacher = open_router(models, "teacher")
        assert {stage: asked(teacher, stage)[0] for stage in PLANS} == dict.fromkeys(PLANS, "plans")
        assert asked(teacher, Stage.CODE)[0] == "codes"
        assert asked(teacher, Stage.SCOPE) == ("all", None, "scripted")
        assert teacher.second is not None
        assert asked(teacher.second, Stage.META_PLAN)[0] == "checks"


def test_a_teacher_alone_does_everything() -> None:
    with ScriptedServer("fine") as server:
        models = ModelSettings(endpoints={"all": endpoint(server)}, teachers=Teachers(reasoning="all"))
        teacher = open_router(models, "teacher")
        assert {asked(teacher, stage)[0] for stage in Stage} == {"all"}
        assert teacher.second is None


BY_CLASSIFIER = frozenset({Stage.SCOPE, Stage.PRECISION})


def test_the_classifier_answers_scope_and_precision_in_place_of_the_model_in_the_process() -> None:
    student = open_router(ModelSettings(), "student")
    assert student.classified == BY_CLASSIFIER
    plain = open_router(ModelSettings(overrides={Stage.SCOPE: "", Stage.PRECISION: ""}), "student")
    assert plain.classified == frozenset()
    assert plain.identity != student.identity


def test_the_classifier_answers_where_an_override_names_it_and_no_other_endpoint_on_its_own() -> None:
    with ScriptedServer("fine", models=["base"], strict_models=True) as server:
        models = ModelSettings(endpoints={"here": endpoint(server, model="base", window=8000)},
                               roles=Roles(reasoning="here", coding="here"))  # fmt: skip
        assert open_router(models, "student").classified == frozenset()
        named = models.model_copy(update={"overrides": {Stage.SCOPE: "relevance"}})
        student = open_router(named, "student")
        assert student.classified == {Stage.SCOPE}
        assert asked(student, Stage.SCOPE) == ("here", None, "base")
        assert student.identity != open_router(models, "student").identity


def test_a_promoted_adapter_answers_before_the_classifier() -> None:
    route = open_router(ModelSettings(), "student").routes[Stage.SCOPE]
    assert replace(route, promoted=lambda: "scope-v1-abc").classified is False
    assert replace(route, promoted=lambda: None).classified is True
    assert replace(route, override="scope-v1").classified is False


def test_a_teacher_is_never_replaced_by_the_classifier() -> None:
    with ScriptedServer("fine") as server:
        models = ModelSettings(endpoints={"all": endpoint(server)}, teachers=Teachers(reasoning="all"))
        assert open_router(models, "teacher").classified == frozenset()


def test_no_teacher_is_a_matter_of_settings() -> None:
    with pytest.raises(SettingsError, match=r"\[models.teachers\]"):
        open_router(ModelSettings(), "teacher")


def test_a_key_that_is_not_set_is_named_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with ScriptedServer("fine") as server:
        with pytest.raises(SettingsError, match="NO_SUCH_KEY"):
            router(server, api_key_env="NO_SUCH_KEY")
        assert server.paths == []


def test_an_adapter_that_the_server_does_not_have_is_no_silent_base() -> None:
    for flavour in ("vllm", "llama.cpp"):
        with ScriptedServer("fine", flavour=flavour, models=["base", "scope-v1"]) as server:
            models = ModelSettings(
                endpoints={"here": endpoint(server, model="base")},
                roles=Roles(reasoning="here", coding="here"),
                overrides={Stage.SCOPE: "scope-v9"},
            )
            with pytest.raises(SettingsError, match=r"scope-v9.*serves: base, scope-v1"):
                open_router(models, "student").complete(Stage.SCOPE, request())
            assert server.requests == []


def test_an_adapter_of_llama_cpp_is_chosen_by_its_number() -> None:
    with ScriptedServer("fine", flavour="llama.cpp", adapters=["code-v1", "scope-v1"]) as server:
        models = ModelSettings(
            endpoints={"here": endpoint(server)},
            roles=Roles(reasoning="here", coding="here"),
            overrides={Stage.SCOPE: "scope-v1"},
        )
        assert asked(open_router(models, "student"), Stage.SCOPE)[1] == "scope-v1"
        assert server.requests[0]["lora"] == [{"id": 0, "scale": 0.0}, {"id": 1, "scale": 1.0}]


def test_room_follows_the_models_window() -> None:
    with ScriptedServer("fine", window=4096) as server:
        assert 2900 < router(server).max_prompt_tokens(Stage.CODE, 1000) < 3096
        assert router(server).max_prompt_tokens(Stage.CODE, 100_000) > 1900  # an answer gets half of the window at most
        assert 6900 < router(server, window=100_000).max_prompt_tokens(Stage.TASK_ANALYSIS, 1000) < 7192
        assert 30_000 < router(server, window=100_000).max_prompt_tokens(Stage.CODE, 1000) < 31_768


def test_thinking_takes_its_room_from_what_the_stage_leaves_over() -> None:
    with ScriptedServer("fine") as server:
        plain = router(server, window=64_000)
        thinking = router(server, window=64_000, thinking=True, thinking_tokens=16_000)
        tight = router(server, window=40_000, thinking=True, thinking_tokens=16_000)
        assert plain.max_prompt_tokens(Stage.CODE, 1000) == thinking.max_prompt_tokens(Stage.CODE, 1000)
        assert tight.max_prompt_tokens(Stage.CODE, 1000) < 24_000


def test_a_window_that_nobody_tells_is_asked_of_the_user() -> None:
    with (
        ScriptedServer("fine", flavour="openai") as server,
        pytest.raises(SettingsError, match=r"endpoints\.here.window"),
    ):
        router(server).max_prompt_tokens(Stage.CODE, 1000)


@pytest.mark.parametrize("flavour", ["vllm", "llama.cpp", "openai"])
def test_every_prompt_is_counted_before_it_is_sent(flavour: str) -> None:
    with ScriptedServer("fine", flavour=flavour) as server:
        with pytest.raises(PromptTooLong) as caught:
            answer(router(server, window=1000), "word " * 2000)
        assert server.requests == []
    assert "stage code" in str(caught.value)
    assert "1000 of endpoint 'here'" in str(caught.value)


@pytest.mark.parametrize("flavour", ["vllm", "llama.cpp", "openai"])
def test_a_server_with_a_smaller_window_than_set_says_so_itself(flavour: str) -> None:
    with ScriptedServer("fine", flavour=flavour, window=300) as server, pytest.raises(PromptTooLong) as caught:
        answer(router(server, window=4000), "word " * 300)
    assert "a prompt of 304 tokens" in str(caught.value)
    assert "its window is 300: set models.endpoints.here.window" in str(caught.value)


def test_an_answer_is_shortened_to_what_the_prompt_leaves() -> None:
    with ScriptedServer("fine", window=1000) as server:
        answer(router(server), "word " * 450, max_tokens=900)
        assert 500 < server.requests[0]["max_tokens"] < 550


def test_a_specialist_refuses_what_outgrows_it_and_the_generalist_says_why_it_answers() -> None:
    with ScriptedServer("small", window=500) as small, ScriptedServer("large", window=100_000) as large:
        endpoints = {"small": endpoint(small), "large": endpoint(large), "lies": endpoint(small, window=100_000)}
        roles = Roles(reasoning="small", coding="lies", generalist="large")
        student = open_router(ModelSettings(endpoints=endpoints, roles=roles), "student")
        assert student.falls_back
        assert asked(student, Stage.SCOPE)[0] == "small"
        for stage in (Stage.SCOPE, Stage.CODE):
            with pytest.raises(PromptTooLong, match=r"endpoint '(small|lies)'"):
                asked(student, stage, request("word " * 1000))
        [said] = student.complete_by_generalist(Stage.SCOPE, request("word " * 50_000), "too long")
        assert (said.endpoint, said.fallback) == ("large", "too long")
        with pytest.raises(PromptTooLong, match="endpoint 'large'"):
            student.complete_by_generalist(Stage.SCOPE, request("word " * 200_000), "too long")
        assert 90_000 < student.generalist_prompt_tokens(1000) < 99_000


def test_runs_with_a_generalist_are_others_than_before_it_answered_what_is_unusable() -> None:
    """An earlier version asked it for long prompts only; its trajectories and answers are not those of today."""
    with ScriptedServer("fine", window=500) as server:
        roles = Roles(reasoning="here", coding="here", generalist="here")
        student = open_router(ModelSettings(endpoints={"here": endpoint(server)}, roles=roles), "student")
        assert student.generalist is not None
        lines = [f"{stage.value}: {_who(route)}" for stage, route in sorted(student.routes.items())]
        assert sha256("\n".join(lines).encode()).hexdigest() == replace(student, generalist=None).identity
        lines.append(f"generalist: {_who(student.generalist)}")
        assert sha256("\n".join(lines).encode()).hexdigest() != student.identity


def test_without_a_generalist_nothing_falls_back() -> None:
    with ScriptedServer("fine", window=500) as server:
        alone = router(server)
        assert not alone.falls_back
        with pytest.raises(ValueError, match="generalist"):
            alone.complete_by_generalist(Stage.SCOPE, request(), "too long")


def test_identity_follows_models_and_adapters_and_nothing_else() -> None:
    with ScriptedServer("fine", window=4096) as server, ScriptedServer("fine", window=4096) as elsewhere:

        def identity(where: ScriptedServer = server, adapter: str | None = None, **settings: object) -> str:
            models = ModelSettings(
                endpoints={"here": endpoint(where, **settings)},
                roles=Roles(reasoning="here", coding="here"),
                overrides={Stage.SCOPE: adapter} if adapter else {},
            )
            return open_router(models, "student").identity

        assert identity() == identity(elsewhere) == identity(timeout=5.0, concurrency=2, window=4096)
        others = [
            identity(model="other"),
            identity(revision="2"),
            identity(adapter="scope-v1"),
            identity(thinking=True),
            identity(window=2048),
            identity(edit_format="whole-symbol"),
        ]
        assert len({identity(), *others}) == len(others) + 1


def test_a_window_cannot_be_asked_of_a_server_that_is_down() -> None:
    with pytest.raises(ProviderError, match="no connection"):
        router("http://127.0.0.1:9/v1").max_prompt_tokens(Stage.CODE, 1000)
