"""Datasets as files: what trainers read, cards that fit, the same bytes for the same runs; splits and rounds."""

import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from llm.tokens import MESSAGE_FRAME, PROMPT_FRAME
from models.errors import RegistryError, UsageError
from models.training import TrainingTarget
from store.database import reading
from store.rows import add, writing
from store.runs import sha256
from store.tables import BaseModel, TrainingDataset, table_of
from tests.support.curation_material import dropped, lines, reserve_row, trained_on
from tests.support.pairs_material import GOOD_SCOPE, Repository, World, gold_runs
from training.bases.files import hash_file, hash_files
from training.data.curation import curate
from training.data.sources import read_pairs


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


# The files


def test_a_dataset_holds_what_the_trainers_read_and_a_card_that_fits_it(world: World) -> None:
    gold_runs(world, *(Repository(name, domain=name) for name in ("one", "two", "three")))
    made = curate(world.raw, world.curated, world.request(TrainingTarget.SCOPE))
    assert made.dataset_dir == world.folder / "data" / "datasets" / f"scope-{made.card.id[:12]}"
    sft = lines(made)
    assert len(sft) == made.card.examples["sft"] == 12
    for line in sft:
        assert set(line) == {
            "id", "stage", "source", "split", "weight", "prompt", "completion", "provenance",
        }  # fmt: skip
        assert [message["role"] for message in line["prompt"]] == ["system", "user"]
        assert line["completion"] == [{"role": "assistant", "content": json.dumps({"files": GOOD_SCOPE})}]
    card = json.loads((made.dataset_dir / "card.json").read_text())
    for name, digest in card["files"].items():
        assert hashlib.sha256((made.dataset_dir / name).read_bytes()).hexdigest() == digest
    assert card["repositories"] == {"one": 4, "three": 4, "two": 4}
    assert card["licenses"] == {"MIT": 12}
    assert card["config"]["overrides"] == {"min_organisations": 1}
    assert "12 examples" in (made.dataset_dir / "card.md").read_text()
    with reading(world.raw.engine) as connection:
        row = connection.execute(table_of(TrainingDataset).select()).mappings().one()
    assert (row["id"], row["stage"], row["source"], row["examples"]) == (made.card.id, "scope", "synthetic", 12)
    assert world.raw.get_text(row["content_hash"]) == (made.dataset_dir / "card.json").read_text()
    assert row["config"]["repositories"] == ["one", "three", "two"]


def test_the_library_that_the_trainers_use_loads_it(world: World) -> None:
    import datasets

    gold_runs(world, Repository("one"))
    made = curate(world.raw, world.curated, world.request(TrainingTarget.CODE))
    assert made.dataset_dir is not None
    for name, count in (("sft.jsonl", made.card.examples["sft"]), ("dpo.jsonl", made.card.examples["dpo"])):
        loaded = datasets.load_dataset(
            "json", data_files=str(made.dataset_dir / name), cache_dir=str(world.folder / "cache"), split="train"
        )
        assert len(loaded) == count > 0


def test_preferences_say_where_both_answers_come_from(world: World) -> None:
    gold_runs(world, Repository("one"))
    line = lines(curate(world.raw, world.curated, world.request(TrainingTarget.CODE)), "dpo.jsonl")[0]
    assert set(line) == {
        "id", "stage", "source", "kind", "split", "weight", "prompt", "chosen", "rejected", "chosen_by", "rejected_by",
    }  # fmt: skip
    assert [line[key][0]["role"] for key in ("chosen", "rejected")] == ["assistant", "assistant"]


def test_the_same_runs_give_the_same_bytes_in_whatever_order_they_came(tmp_path: Path) -> None:
    repositories = [Repository(name) for name in ("one", "two", "three")]
    made = []
    for order in (repositories, repositories[::-1]):
        world = World(tmp_path / f"{len(made)}")
        gold_runs(world, *order)
        made += [
            curate(world.raw, world.curated, world.request(target))
            for target in (TrainingTarget.CODE, TrainingTarget.CODE)
        ]
    texts = [{p.name: p.read_bytes() for p in each.dataset_dir.iterdir()} for each in made if each.dataset_dir]
    assert len(texts) == 4
    assert texts[0].keys() == {"sft.jsonl", "dpo.jsonl", "critic.jsonl", "card.json", "card.md"}
    assert all(each == texts[0] for each in texts)


def test_a_damaged_dataset_is_written_anew_and_nothing_is_left_behind(world: World) -> None:
    gold_runs(world, Repository("one"))
    made = curate(world.raw, world.curated, world.request(TrainingTarget.SCOPE))
    assert made.dataset_dir is not None
    before = (made.dataset_dir / "sft.jsonl").read_bytes()
    (made.dataset_dir / "sft.jsonl").write_bytes(before[:100])
    assert curate(world.raw, world.curated, world.request(TrainingTarget.SCOPE)).dataset_dir == made.dataset_dir
    assert (made.dataset_dir / "sft.jsonl").read_bytes() == before
    assert [p.name for p in made.dataset_dir.parent.iterdir()] == [made.dataset_dir.name]


def test_a_dry_run_writes_nothing_and_says_what_would_be_refused(world: World) -> None:
    gold_runs(world, Repository("one"))
    made = curate(world.raw, world.curated, world.request(TrainingTarget.SCOPE, dry_run=True, min_organisations=None))
    assert made.dataset_dir is None
    assert made.card.examples["sft"] == 4
    assert "organisations" in str(made.refused)
    assert not (world.folder / "data").exists()
    with reading(world.raw.engine) as connection:
        assert connection.execute(table_of(TrainingDataset).select()).all() == []


def test_plans_are_trained_on_with_the_reasoning_before_them(world: World) -> None:
    world.add(Repository("one"))
    world.run("one-0", "teacher").meta_plan(reasoning="Think.").close()
    world.run("one-1", "teacher").meta_plan().close()
    made = curate(world.raw, world.curated, world.request(TrainingTarget.PLANNING))
    said = sorted(line["completion"][0]["content"] for line in lines(made))
    assert said[0].startswith("<think>\nThink.\n</think>\n\n{")
    assert said[1].startswith("{")


# Splits and order


def test_validation_is_split_off_by_repository_where_there_are_three(world: World) -> None:
    gold_runs(world, *(Repository(f"r{n}", instances=2) for n in range(8)))
    made = curate(world.raw, world.curated, world.request(TrainingTarget.CODE))
    split: dict[str, set[str]] = {}
    for line in lines(made):
        split.setdefault(line["provenance"]["repository"], set()).add(line["split"])
    for line in lines(made, "dpo.jsonl"):
        split[line["chosen_by"]["repository"]].add(line["split"])
    assert all(len(found) == 1 for found in split.values())
    assert Counter(next(iter(found)) for found in split.values()) == {"train": 7, "validation": 1}
    assert made.card.examples["validation"] == 2


def test_validation_is_split_off_by_instance_where_there_are_fewer(world: World) -> None:
    gold_runs(world, Repository("one", instances=6), Repository("two", instances=6))
    made = curate(world.raw, world.curated, world.request(TrainingTarget.CODE))
    assert 1 <= made.card.examples["validation"] <= 3
    held = {line["provenance"]["instance"] for line in lines(made) if line["split"] == "validation"}
    assert all(
        (line["chosen_by"]["instance"] in held) == (line["split"] == "validation") for line in lines(made, "dpo.jsonl")
    )


def test_symbols_are_learned_from_few_to_many(world: World) -> None:
    gold_runs(world, Repository("one", instances=7))
    made = curate(world.raw, world.curated, world.request(TrainingTarget.PRECISION))
    judged = [len(json.loads(line["completion"][0]["content"])["symbols"]["src/lib.py"]) for line in lines(made)]
    assert judged == sorted(judged)
    assert len(set(judged)) > 3


# Rounds


def test_a_round_is_what_is_new_with_a_share_of_what_was(world: World) -> None:
    gold_runs(world, Repository("one", instances=20), campaign="first")
    first = curate(world.raw, world.curated, world.request(TrainingTarget.SCOPE))
    trained_on(world, first)
    gold_runs(world, Repository("two", instances=17), campaign="second")
    second = curate(world.raw, world.curated, world.request(TrainingTarget.SCOPE))
    assert second.card.rounds.model_dump() == {
        "earlier": (first.card.id,), "pool": 20, "new": 17, "replayed": 3, "whole": False,
    }  # fmt: skip
    assert second.card.repositories == {"two": 17, "one": 3}
    assert 0.1 <= 3 / 20 <= 0.2
    old = {line["id"] for line in lines(first)}
    assert len(old & {line["id"] for line in lines(second)}) == 3
    whole = curate(world.raw, world.curated, world.request(TrainingTarget.SCOPE, whole_pool=True))
    assert whole.card.repositories == {"one": 20, "two": 17}
    assert old < {line["id"] for line in lines(whole)}


def test_a_round_curated_again_comes_out_the_same_after_it_was_trained_on(world: World) -> None:
    gold_runs(world, Repository("one"))
    first = curate(world.raw, world.curated, world.request(TrainingTarget.SCOPE))
    trained_on(world, first)
    assert curate(world.raw, world.curated, world.request(TrainingTarget.SCOPE)).card == first.card
    gold_runs(world, Repository("two"))
    second = curate(world.raw, world.curated, world.request(TrainingTarget.SCOPE))
    trained_on(world, second)
    assert second.card.id != first.card.id
    assert curate(world.raw, world.curated, world.request(TrainingTarget.SCOPE)).card == second.card


def test_the_same_pool_mixed_otherwise_is_the_whole_pool_again(world: World) -> None:
    gold_runs(world, Repository("one", instances=9))
    small = curate(world.raw, world.curated, world.request(TrainingTarget.SCOPE, limit=2))
    assert (small.trained, small.card.rounds.whole) == (False, False)
    trained_on(world, small)
    full = curate(world.raw, world.curated, world.request(TrainingTarget.SCOPE))
    assert full.card.rounds.model_dump() == {
        "earlier": (small.card.id,), "pool": 9, "new": 0, "replayed": 9, "whole": True,
    }  # fmt: skip
    trained_on(world, full)
    again = curate(world.raw, world.curated, world.request(TrainingTarget.SCOPE))
    assert (again.card, again.trained) == (full.card, True)
    assert curate(world.raw, world.curated, world.request(TrainingTarget.SCOPE, limit=2)).card == small.card


def test_a_dataset_that_nobody_trained_on_is_no_round(world: World) -> None:
    gold_runs(world, Repository("one"))
    curate(world.raw, world.curated, world.request(TrainingTarget.SCOPE, limit=1))
    gold_runs(world, Repository("two"))
    made = curate(world.raw, world.curated, world.request(TrainingTarget.SCOPE))
    assert (made.card.rounds.earlier, made.card.rounds.new) == ((), 8)


def test_a_campaign_narrows_what_is_new_and_another_targets_rounds_do_not_count(world: World) -> None:
    gold_runs(world, Repository("one"), campaign="first")
    gold_runs(world, Repository("two"), campaign="second")
    trained_on(world, curate(world.raw, world.curated, world.request(TrainingTarget.CODE)))
    made = curate(world.raw, world.curated, world.request(TrainingTarget.SCOPE, campaigns=("second",)))
    assert made.card.repositories == {"two": 4}
    assert dropped(made) == {"of earlier rounds or other campaigns": 4}


def test_what_is_replayed_is_held_to_the_rules_of_today(world: World) -> None:
    gold_runs(world, Repository("one", instances=20))
    trained_on(world, curate(world.raw, world.curated, world.request(TrainingTarget.SCOPE)))
    gold_runs(world, Repository("two", instances=17))
    reserve_row(world, "one")
    made = curate(world.raw, world.curated, world.request(TrainingTarget.SCOPE))
    assert made.card.repositories == {"two": 17}


def test_what_a_dataset_was_drawn_from_is_kept(world: World) -> None:
    gold_runs(world, Repository("one"))
    made = curate(world.raw, world.curated, world.request(TrainingTarget.SCOPE, limit=1))
    considered = world.raw.get_text(made.card.config["considered"])
    assert considered.split() == sorted(pair.id for pair in read_pairs(world.raw, TrainingTarget.SCOPE).pairs)
    assert sha256(considered) == made.card.config["considered"]


def test_a_plan_that_is_none_is_named(world: World) -> None:
    gold_runs(world, Repository("one"))
    for wrong in ("abc", "0123456789", "../../etc", world.raw.put_text("{}")):
        with pytest.raises(UsageError, match=f"no plan '{wrong}'"):
            curate(world.raw, world.curated, world.request(TrainingTarget.SCOPE, plan=wrong))


def test_tokens_are_counted_as_the_base_counts_them(world: World) -> None:
    gold_runs(world, Repository("one"))
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    base = frozen_base(world, tokenizer.to_str())
    made = curate(world.raw, world.curated, world.request(TrainingTarget.SCOPE, base="words"))
    assert made.card.config["counter"] == f"words {base[:12]}"
    longest = max(sum(len(tokenizer.encode(m["content"]).ids) for m in line["prompt"]) for line in lines(made))
    assert made.card.tokens["longest_prompt"] == longest + PROMPT_FRAME + 2 * MESSAGE_FRAME


def test_a_base_without_a_tokenizer_that_can_be_read_is_named(world: World) -> None:
    gold_runs(world, Repository("one"))
    frozen_base(world, "{}")
    with pytest.raises(RegistryError, match=r"base words: .*tokenizer.json is no tokenizer.json"):
        curate(world.raw, world.curated, world.request(TrainingTarget.SCOPE, base="words"))


def frozen_base(world: World, tokenizer: str) -> str:
    """A base that is its tokenizer alone; its id."""
    folder = world.folder / "base"
    folder.mkdir()
    (folder / "tokenizer.json").write_text(tokenizer)
    digest = hash_file(folder / "tokenizer.json")
    entry = {"bytes": len(tokenizer.encode()), "sha256": digest}
    (folder / "manifest.json").write_text(json.dumps({"tokenizer.json": entry}))
    row = BaseModel(
        id=hash_files({"tokenizer.json": digest}), name="words", role=None, version=None, tuned=False,
        path=str(folder), facts={},
    )  # fmt: skip
    base = row.id
    with writing(world.curated) as connection:
        add(connection, row)
    return base
