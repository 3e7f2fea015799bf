"""Answers of a local base, with and without an adapter, and of a served one."""

from pathlib import Path
from typing import Any

import pytest
import torch

from evals.scoring import Question, settings_of
from models.chat import Message
from models.errors import EvaluationError, PromptTooLong, RegistryError, SettingsError, UsageError
from models.protocols import Stage
from models.settings import Settings
from models.training import TrainingTarget
from store.database import open_database
from tests.support.asking import router
from tests.support.bad_server import ScriptedServer
from training.bases.bases import Base
from training.cycle.local_answers import LocalAnswerer, check_adapter
from training.cycle.served import EndpointAnswerer, evaluation_endpoint, served_answerer

pytestmark = pytest.mark.slow

ASKED = (Message(role="system", content="Judge."), Message(role="user", content="Which files change?"))
OTHER = (Message(role="user", content="Judge every candidate: relevant, supporting or irrelevant. " * 3),)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.support.tiny import make_tiny_base

    return make_tiny_base(tmp_path_factory.mktemp("bases") / "tiny")


@pytest.fixture(scope="module")
def plain(base: Path) -> LocalAnswerer:
    return LocalAnswerer(base, "tiny", thinking=False)


def make_adapter(base: Path, out: Path, name: str = "tiny", rank: int = 4) -> Path:
    """A LoRA whose weights are random on both sides, so that it changes what the base says."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(str(base))
    config = LoraConfig(r=rank, lora_alpha=64, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM")
    tuned = get_peft_model(model, config)
    for parameter in tuned.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter)
    tuned.peft_config["default"].base_model_name_or_path = name
    tuned.save_pretrained(str(out))
    return out


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_adapter(base, tmp_path_factory.mktemp("adapters") / "one")


def by_hand(
    base: Path, adapter: Path | None, messages: tuple[Message, ...], most: int, thinking: bool | None = False
) -> str:
    """Greedy decoding, the plainest way: the whole text through the model for every token."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from training.bases.chat_format import ChatFormat

    chat = ChatFormat.load(base, thinking)
    model: Any = AutoModelForCausalLM.from_pretrained(str(base), dtype=torch.float32)
    if adapter is not None:
        model = PeftModel.from_pretrained(model, str(adapter))
    ids = chat.prompt_ids([message.model_dump() for message in messages])
    said: list[int] = []
    with torch.no_grad():
        while len(said) < most:
            token = int(model(torch.tensor([ids + said])).logits[0, -1].argmax())
            if token == chat.end_id:
                break
            said.append(token)
    text: str = chat.tokenizer.decode(said, skip_special_tokens=True)
    return text


@pytest.mark.parametrize("messages", [ASKED, OTHER])
def test_a_base_answers_greedily_as_decoding_by_hand_does(
    base: Path, plain: LocalAnswerer, messages: tuple[Message, ...]
) -> None:
    answer = plain.answer(messages, 12, 0, 0.0)
    assert answer == by_hand(base, None, messages, 12)
    assert plain.answer(messages, 12, 7, 0.0) == answer


def test_an_adapter_changes_the_answer_as_decoding_by_hand_does(
    base: Path, plain: LocalAnswerer, adapter: Path
) -> None:
    tuned = LocalAnswerer(base, "tiny", adapter, thinking=False)
    answer = tuned.answer(ASKED, 12, 0, 0.0)
    assert answer == by_hand(base, adapter, ASKED, 12)
    assert answer != plain.answer(ASKED, 12, 0, 0.0)
    assert tuned.settings == plain.settings


def test_questions_asked_together_are_answered_as_alone(plain: LocalAnswerer) -> None:
    questions = [Question(ASKED, 12, None), Question(OTHER, 5, None), Question(ASKED[1:], 9, None)]
    alone = [plain.answer(each.messages, each.max_tokens, 0, 0.0) for each in questions]
    assert plain.answer_many(questions, 0, 0.0) == alone


def test_an_answer_ends_with_the_end_of_the_turn(base: Path) -> None:
    answerer = LocalAnswerer(base, "tiny")
    head = answerer._model.lm_head
    end = answerer._chat.end_id
    head.bias = torch.nn.Parameter(torch.zeros(head.out_features))
    with torch.no_grad():
        head.bias[end] = 1e6
    assert answerer.answer_many([Question(ASKED, 20, None), Question(OTHER, 20, None)], 0, 0.0) == ["", ""]
    said = answerer._chat.tokenizer("relevant", add_special_tokens=False)["input_ids"]
    assert answerer._text([*said, end, *said]) == "relevant"


def test_a_trace_that_the_prompt_opened_is_no_part_of_the_answer(plain: LocalAnswerer) -> None:
    text = "So:\n### delete a.py\n</think>\n\n### delete b.py\n"
    said = plain._chat.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert plain._text(said, opened=True) == "### delete b.py\n"
    assert plain._text(said[:5], opened=True) == ""


def test_a_base_that_is_told_to_think_has_room_for_it_beside_the_answer(base: Path, plain: LocalAnswerer) -> None:
    thinking = LocalAnswerer(base, "tiny", thinking=True)
    thinking._window = thinking.count(ASKED) + 6 + 10
    assert thinking.answer(ASKED, 6, 0, 0.0) == by_hand(base, None, ASKED, 16, thinking=True)
    assert plain.answer(ASKED, 6, 0, 0.0) == by_hand(base, None, ASKED, 6)


def test_an_answer_gets_the_share_of_a_small_window_that_serving_gives_it(plain: LocalAnswerer) -> None:
    assert [plain.limit(wanted) for wanted in (512, 2048, 6144)] == [512, 1024, 1024]


def test_sampling_follows_its_seed(plain: LocalAnswerer) -> None:
    said = [plain.answer(ASKED, 16, seed, 1.0) for seed in (0, 0, 1)]
    assert said[0] == said[1] != said[2]


def test_a_prompt_that_outgrows_the_window_is_refused_with_the_numbers(plain: LocalAnswerer) -> None:
    with pytest.raises(PromptTooLong, match="its answer may have 4096, together more than the base's window of 4096"):
        plain.answer(ASKED, 4096, 0, 0.0)


def test_counting_counts_what_is_sent(plain: LocalAnswerer) -> None:
    assert plain.count(OTHER) > plain.count(ASKED[1:]) > 5


def test_settings_say_that_nobody_is_held_to_a_schema(plain: LocalAnswerer) -> None:
    settings = settings_of(plain)
    assert (settings["backend"], settings["constrained"], settings["seeds"]) == ("transformers", 0, 1)


def test_an_adapter_of_another_base_is_refused(base: Path, adapter: Path, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="was trained on base 'tiny', not on 'large'"):
        LocalAnswerer(base, "large", adapter)
    with pytest.raises(RegistryError, match=r"adapter_config\.json cannot be read"):
        check_adapter(tmp_path, "tiny")


def test_an_adapter_that_does_not_fit_is_refused(base: Path, adapter: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    from tests.support.tiny import make_tiny_base

    wide = make_tiny_base(tmp_path / "wide", hidden=128)
    with pytest.raises(RegistryError, match="does not fit base tiny"):
        LocalAnswerer(wide, "tiny", adapter)
    deep = make_adapter(make_tiny_base(tmp_path / "deep", layers=3), tmp_path / "deep-adapter")
    with pytest.raises(RegistryError, match=r"does not fit base tiny: weight .* has no counterpart"):
        LocalAnswerer(base, "tiny", deep)
    weights = load_file(adapter / "adapter_model.safetensors")
    part = tmp_path / "part"
    part.mkdir()
    (part / "adapter_config.json").write_text((adapter / "adapter_config.json").read_text())
    save_file(dict(sorted(weights.items())[1:]), part / "adapter_model.safetensors")
    with pytest.raises(RegistryError, match="has no counterpart"):
        LocalAnswerer(base, "tiny", part)
    (part / "adapter_model.safetensors").write_bytes(b"rubbish")
    with pytest.raises(RegistryError, match="does not fit base tiny"):
        LocalAnswerer(base, "tiny", part)


def test_an_unusable_base_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no usable tokenizer"):
        LocalAnswerer(tmp_path, "tiny")


def test_a_served_adapter_is_asked_by_its_name_and_held_to_the_schema() -> None:
    names = ("scripted", "scope-v1-abc")
    with ScriptedServer(lambda asked: f"{asked['model']} {asked['messages'][-1]['content']}", models=names) as server:
        service = router(server, json_schema=True, concurrency=2, window=4096).routes[Stage.SCOPE].service
        questions = [Question((Message(role="user", content=str(n)),), 50, {"type": "object"}) for n in range(3)]
        for adapter, name in ((None, "scripted"), ("scope-v1-abc", "scope-v1-abc")):
            answerer = EndpointAnswerer(service, Stage.SCOPE, adapter)
            assert answerer.answer_many(questions, 0, 0.0) == [f"{name} {n}" for n in range(3)]
            assert (answerer.settings["constrained"], answerer.batch) == ("true", 2)
        with pytest.raises(SettingsError, match="does not serve"):
            EndpointAnswerer(service, Stage.SCOPE, "scope-v9").answer(ASKED, 50, 0, 0.0)
        asked = [request for request in server.requests if "messages" in request]
        assert all(request["response_format"]["type"] == "json_schema" for request in asked)


def test_an_evaluation_asks_only_an_endpoint_that_serves_its_base(tmp_path: Path) -> None:
    curated = open_database(tmp_path / "curated.sqlite", "curated")
    tiny = Base("0" * 64, "tiny", tmp_path, None, None, {})

    def settings(endpoint: str, url: str) -> Settings:
        here = {"url": url, "model": "scripted", "base": "tiny", "json_schema": True}
        return Settings.model_validate(
            {"models": {"endpoints": {"here": here, "other": here | {"base": ""}}}, "training": {"endpoint": endpoint}}
        )

    with ScriptedServer(lambda asked: "said") as server:
        answerer = served_answerer(settings("here", server.url), "here", curated, tiny, None, Stage.SCOPE)
        assert answerer.answer(ASKED, 50, 0, 0.0, {"type": "object"}) == "said"
        assert server.requests[-1]["response_format"]["type"] == "json_schema"
        with pytest.raises(EvaluationError, match=r'base = "tiny" under \[models\.endpoints\.other\]'):
            served_answerer(settings("other", server.url), "other", curated, tiny, None, Stage.SCOPE)
        with pytest.raises(SettingsError, match="'nowhere', which is not under"):
            served_answerer(settings("nowhere", server.url), "nowhere", curated, tiny, None, Stage.SCOPE)


@pytest.mark.parametrize(
    ("endpoint", "base", "asked"), [("", "tiny", "embedded"), ("", "another", ""), ("", "", ""), ("here", "", "here")]
)
def test_a_model_is_examined_as_it_is_used_where_that_can_be(
    endpoint: str, base: str, asked: str, tmp_path: Path
) -> None:
    given = {"models": {"endpoints": {"embedded": {"base": base}}}, "training": {"endpoint": endpoint}}
    tiny = Base("0" * 64, "tiny", tmp_path, None, None, {})
    assert evaluation_endpoint(Settings.model_validate(given), tiny, TrainingTarget.SCOPE) == asked
