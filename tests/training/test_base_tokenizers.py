"""Two bases with other tokenizers are each measured by their own: one model under other ids has the same losses."""

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch")
from safetensors.torch import load_file, save_file

from models.objectives import Objective
from tests.support.base_material import HELD, dataset_of
from tests.support.pairs_material import World
from tests.support.plain_steps import student_settings
from tests.support.tiny import make_tiny_base
from training.bases.bases import Base, add_base
from training.bases.chat_format import ChatFormat
from training.cycle.base_measures import BaseContest, BaseMeasures, held_out_rows, measure_bases
from training.cycle.context import open_context

pytestmark = pytest.mark.slow


def renumbered(source: Path, target: Path) -> Path:
    """The same base with other ids: the ordinary tokens are numbered backwards, and so are the weights of each."""
    shutil.copytree(source, target)
    file = target / "tokenizer.json"
    tokenizer = json.loads(file.read_text())
    special = {each["id"] for each in tokenizer["added_tokens"]}
    ordinary = sorted(set(tokenizer["model"]["vocab"].values()) - special)
    number = dict(zip(ordinary, reversed(ordinary), strict=True))
    tokenizer["model"]["vocab"] = {text: number.get(id, id) for text, id in tokenizer["model"]["vocab"].items()}
    file.write_text(json.dumps(tokenizer))
    weights = load_file(str(target / "model.safetensors"))
    for name, tensor in weights.items():
        if "embed_tokens" in name or "lm_head" in name:
            moved = tensor.clone()
            moved[[number[id] for id in ordinary]] = tensor[ordinary]
            weights[name] = moved
    save_file(weights, str(target / "model.safetensors"), {"format": "pt"})
    return target


def measured(world: World, champion: Base, challenger: Base) -> BaseMeasures:
    context = open_context(student_settings(world.folder, "http://127.0.0.1:9/v1"), lambda what, done, total: None)
    rows = held_out_rows(dataset_of(world.raw, world.folder))
    assert rows.watched and rows.records
    return measure_bases("a contest", context, BaseContest(champion, challenger, rows, None, 512))


def test_the_same_model_under_other_ids_has_the_same_losses(world: World, tmp_path: Path) -> None:
    old = add_base(world.curated, world.folder, make_tiny_base(tmp_path / "old"), "old")
    other = add_base(world.curated, world.folder, renumbered(tmp_path / "old", tmp_path / "other"), "other")
    chats = [ChatFormat.load(base.path) for base in (old, other)]
    assert chats[0].tokenises_as(ChatFormat.load(tmp_path / "old")) and not chats[0].tokenises_as(chats[1])
    found = measured(world, old, other)
    before, after = (side[Objective.ROLE] for side in (found.champion, found.challenger))
    assert len(before) == 2 * len(HELD)
    assert [row.loss for row in after] == pytest.approx([row.loss for row in before], rel=1e-4)
    for each in found.forgetting:
        assert each.agreement is None
    instructions = found.forgetting[0]
    assert instructions.after == pytest.approx(instructions.before, rel=1e-3)


def test_a_base_with_the_same_tokenizer_is_measured_on_the_same_ids(world: World, tmp_path: Path) -> None:
    old = add_base(world.curated, world.folder, make_tiny_base(tmp_path / "old"), "old")
    new = add_base(world.curated, world.folder, make_tiny_base(tmp_path / "new", seed=1), "new")
    found = measured(world, old, new)
    own = [each for each in found.forgetting if each.kind != "instructions"]
    assert own and all(each.agreement is not None for each in own)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "data")
