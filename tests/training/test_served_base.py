"""Which base answered in a campaign is read from its answers: two real models, sampled, and every mistake of a user."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from models.chat import Message, prompt_text
from models.errors import InfrastructureError
from models.plans import MetaPlan, MetaPlanPart, PartPlan, PlanStep, Target
from models.protocols import Request, Stage
from store.runs.own_answers import OwnAnswer
from tests.support.pairs_material import Repository, World
from tests.support.plain_steps import student_settings
from tests.support.tiny import make_tiny_base
from training.bases.bases import Base, add_base
from training.bases.chat_format import ChatFormat
from training.bases.loading import loaded_base
from training.cycle.base_planning import PlanningCampaigns
from training.cycle.context import TrainingContext, open_context
from training.cycle.served_base import _Answer, _pairs, check_served, free_text

NAMES = tuple(f"lib{number}" for number in range(6))
WRITTEN = 80


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path / "data")
    for name in NAMES:
        made.add(Repository(name))
    return made


def other_weights(folder: Path, amount: float) -> Path:
    """The tiny base with an output head that prefers some words, and the head changed by a share of its size."""
    import torch
    from safetensors.torch import load_file, save_file

    made = make_tiny_base(folder)
    config = made / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"tie_word_embeddings": False}))
    weights = load_file(str(made / "model.safetensors"))
    torch.manual_seed(7)
    shape = weights["model.embed_tokens.weight"].shape
    weights["lm_head.weight"] = 0.3 * (torch.randn(shape) + amount * torch.randn(shape))
    save_file(weights, str(made / "model.safetensors"), {"format": "pt"})
    return made


def bases(world: World, tmp_path: Path, amount: float = 0.7) -> tuple[Base, Base]:
    old = add_base(world.curated, world.folder, other_weights(tmp_path / "old", 0.0), "old")
    new = add_base(world.curated, world.folder, other_weights(tmp_path / "new", amount), "new")
    return old, new


def sampled(model: Any, chat: ChatFormat, messages: list[dict[str, str]], begun: str, seed: int) -> str:
    """What a model goes on with after the begin of its answer, sampled at temperature 1: words without a quote."""
    import torch

    torch.manual_seed(seed)
    ids = chat.prompt_ids(messages) + chat.encoder.ids(begun)
    asked = torch.tensor([ids])
    with torch.inference_mode():
        written = model.generate(
            asked, attention_mask=torch.ones_like(asked), do_sample=True, temperature=1.0, top_k=0, top_p=1.0,
            min_new_tokens=WRITTEN, max_new_tokens=WRITTEN, pad_token_id=chat.pad_id,
            suppress_tokens=[number for number in range(model.config.vocab_size) if not plain(chat, number)],
        )[0, len(ids) :]  # fmt: skip
    return chat.text(written.tolist())


def plain(chat: ChatFormat, number: int) -> bool:
    """Whether a token is a text of its own that stays as it is within a JSON string."""
    text = chat.tokenizer.decode([number]) if number < len(chat.tokenizer) else ""
    return text.isascii() and text.isprintable() and not set(text) & set('"\\<>|') and text != ""


def campaign(world: World, base: Base, name: str, adapter: str | None = None) -> None:
    """A campaign of the student with a base: a meta plan of each repository, whose reason the base wrote."""
    from agent.prompts import render
    from models.chat import Message

    chat = ChatFormat.load(base.path)
    with loaded_base(base.path) as model:
        for number, repository in enumerate(NAMES):
            run = world.run(f"{repository}-0", "student", campaign=name, identity=f"models of {name}")
            request = Request(stage=Stage.META_PLAN, task=run.task)
            messages = [Message.model_validate(each).model_dump() for each in render(request, 10**6, len)]
            why = sampled(model, chat, messages, '{"rationale":"It is ', number)
            part = MetaPlanPart(id="p1", title="Part", description="Do", targets=(Target(path="src/lib.py"),))
            plan = MetaPlan(rationale=f"It is {why}", parts=(part,))
            run.say(
                request, json.dumps(plan.model_dump(mode="json"), ensure_ascii=False), adapter=adapter, temperature=1.0
            )
            run.recorder.plan(Stage.META_PLAN, plan)
            steps = (PlanStep(id="s", description="Change", targets=(Target(path="src/lib.py"),)),)
            run.recorder.plan(Stage.PART_PLAN, PartPlan(part_id="p1", steps=steps))
            run.close(patch="")


def context_of(world: World) -> TrainingContext:
    return open_context(student_settings(world.folder, "http://127.0.0.1:9/v1"), lambda what, done, total: None)


def checked(world: World, pair: tuple[Base, Base], before: str, after: str) -> list[str]:
    return check_served(context_of(world), PlanningCampaigns(before, after), *pair, None, 4096)


def test_each_campaign_is_found_to_be_of_its_base_and_a_swap_is_a_fault_of_the_machine(
    world: World, tmp_path: Path
) -> None:
    pair = bases(world, tmp_path)
    campaign(world, pair[0], "before")
    campaign(world, pair[1], "after")
    notes = checked(world, pair, "before", "after")
    assert [note.partition(" are ")[2].partition("'s")[0] for note in notes] == ["old", "new"]
    with pytest.raises(InfrastructureError, match=r"campaign after: .* those of new, not of old"):
        checked(world, pair, "after", "before")
    kept = list((world.folder / "evaluations" / "bases").glob("served-*.json"))
    assert len(kept) == 2
    assert checked(world, pair, "before", "after") == notes


def test_one_server_for_both_campaigns_is_refused(world: World, tmp_path: Path) -> None:
    pair = bases(world, tmp_path)
    campaign(world, pair[0], "before")
    campaign(world, pair[0], "after")
    with pytest.raises(InfrastructureError, match=r"campaign after: .* those of old, not of new"):
        checked(world, pair, "before", "after")


def test_bases_that_answer_alike_and_answers_of_adapters_say_nothing(world: World, tmp_path: Path) -> None:
    pair = bases(world, tmp_path, amount=0.001)
    campaign(world, pair[0], "before")
    campaign(world, pair[1], "after")
    with pytest.raises(InfrastructureError, match="do not say whether old or new"):
        checked(world, pair, "before", "after")
    campaign(world, pair[1], "adapted", adapter="planning-v1")
    with pytest.raises(InfrastructureError, match="no answer without an adapter"):
        checked(world, pair, "adapted", "before")


def of_letters(folder: Path) -> Path:
    """The tiny base with a tokenizer of single bytes."""
    made = make_tiny_base(folder)
    file = made / "tokenizer.json"
    tokenizer = json.loads(file.read_text())
    tokenizer["model"]["merges"] = []
    file.write_text(json.dumps(tokenizer))
    return made


def test_bases_with_other_tokens_are_compared_by_the_same_characters(tmp_path: Path) -> None:
    chats = [ChatFormat.load(path) for path in (make_tiny_base(tmp_path / "words"), of_letters(tmp_path / "letters"))]
    text = '{"why": "it is so, and what the change is about is the context.", "x": "two words"}'
    answer = OwnAnswer("a", prompt_text((Message(role="user", content="Plan"),)), text, "", 0.0)

    def counted(chat: ChatFormat, side: _Answer) -> str:
        return str(chat.tokenizer.decode([side.ids[place] for place in side.counted]))

    [(one, other)] = _pairs([answer], chats, 4096)
    assert len(one.counted) < len(other.counted)
    assert counted(chats[0], one) == counted(chats[1], other)
    assert "and what the change" in counted(chats[0], one)


def test_greedy_answers_are_read_as_cold_ones(tmp_path: Path) -> None:
    chat = ChatFormat.load(make_tiny_base(tmp_path / "base"))
    answer = OwnAnswer("a", prompt_text((Message(role="user", content="Plan"),)), '{"why": "it is so"}', "", 0.0)
    for asked, read in ((0.0, 0.3), (0.3, 0.3), (0.7, 0.7), (1.0, 1.0)):
        [(one, _)] = _pairs([answer._replace(temperature=asked)], [chat, chat], 4096)
        assert one.temperature == read


@pytest.mark.parametrize(
    ("text", "free"),
    [
        ('{"kind": "fix", "why": "it is \\"so\\" now"}', ['is \\"so\\" now']),
        ('{"paths": ["a.py", "b.py"], "x": 1}', []),
        ('{"why": "cut off in the', ["off in the"]),
        ("no JSON at all", []),
    ],
)
def test_only_text_within_strings_after_their_first_space_counts(text: str, free: list[str]) -> None:
    assert [text[start:end] for start, end in free_text(text)] == free
