"""Datasets: what is kept out, how they are mixed, and that the same runs give the same bytes."""

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pairs_material import GOOD_SCOPE, OLD, Repository, World, gold_runs
from tokenizers import Tokenizer, models, pre_tokenizers

from evals.sets.frozen import all_sets, reserve
from evals.sets.trained import contamination
from harness.store import sha256
from harness.store.rows import add, reading, table_of, writing
from llm.tokens import MESSAGE_FRAME, PROMPT_FRAME
from models.chat import Message
from models.context import SymbolUse
from models.curation_settings import CurationSettings
from models.edits import SearchReplace
from models.errors import GuardrailError, RegistryError, TrainingError, UsageError
from models.evaluation import EvaluationItem, EvaluationSet
from models.outcomes import OutcomeKind
from models.protocols import Stage
from models.tables import BaseModel, EvaluationSetRow, Reservation, TrainingDataset, TrainingPlan
from models.training import Pair, Provenance, Target
from training.bases import hash_file, hash_files
from training.curation import Curated, curate
from training.curation.balance import by_stage, within_share
from training.curation.contamination import COMMIT, INSTANCE, PROMPT, TASK, HeldOut
from training.curation.duplicates import without_near_duplicates
from training.curation.examples import Example
from training.pairs import read_pairs


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def lines(made: Curated, name: str = "sft.jsonl") -> list[dict[str, Any]]:
    assert made.dataset_dir is not None
    return [json.loads(line) for line in (made.dataset_dir / name).read_text().splitlines()]


def dropped(made: Curated) -> dict[str, int]:
    return {name: count for name, _, count in made.card.funnel if count}


def trained_on(world: World, made: Curated) -> None:
    """Record that a training was set up with a dataset."""
    row = TrainingPlan(
        id=f"plan of {made.card.id}", stage=made.card.target.value, source="s", base="b",
        dataset_id=made.card.id, config={},
    )  # fmt: skip
    with writing(world.raw.engine) as connection:
        add(connection, row)


def freeze(world: World, *items: EvaluationItem) -> None:
    made = EvaluationSet(target=Target.SCOPE, repositories=("held",), items=items)
    row = EvaluationSetRow(
        id=made.id, target="scope", items=len(items), repositories=["held"], content=made.model_dump_json()
    )
    with writing(world.curated) as connection:
        add(connection, row)


def item(messages: tuple[Message, ...] = (), **changes: Any) -> EvaluationItem:
    known = {"id": "i", "stage": Stage.SCOPE, "repository": "held", "instance": "held-0", "commit": "e" * 40}
    return EvaluationItem(**(known | changes), messages=messages, expected="{}", answer_tokens=1)


# The files


def test_a_dataset_holds_what_the_trainers_read_and_a_card_that_fits_it(world: World) -> None:
    gold_runs(world, *(Repository(name, domain=name) for name in ("one", "two", "three")))
    made = curate(world.raw, world.curated, world.request(Target.SCOPE))
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
    datasets = pytest.importorskip("datasets")
    gold_runs(world, Repository("one"))
    made = curate(world.raw, world.curated, world.request(Target.CODE))
    assert made.dataset_dir is not None
    for name, count in (("sft.jsonl", made.card.examples["sft"]), ("dpo.jsonl", made.card.examples["dpo"])):
        loaded = datasets.load_dataset(
            "json", data_files=str(made.dataset_dir / name), cache_dir=str(world.folder / "cache"), split="train"
        )
        assert len(loaded) == count > 0


def test_preferences_say_where_both_answers_come_from(world: World) -> None:
    gold_runs(world, Repository("one"))
    line = lines(curate(world.raw, world.curated, world.request(Target.CODE)), "dpo.jsonl")[0]
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
        made += [curate(world.raw, world.curated, world.request(target)) for target in (Target.CODE, Target.CODE)]
    texts = [{p.name: p.read_bytes() for p in each.dataset_dir.iterdir()} for each in made if each.dataset_dir]
    assert len(texts) == 4
    assert texts[0].keys() == {"sft.jsonl", "dpo.jsonl", "card.json", "card.md"}
    assert all(each == texts[0] for each in texts)


def test_a_damaged_dataset_is_written_anew_and_nothing_is_left_behind(world: World) -> None:
    gold_runs(world, Repository("one"))
    made = curate(world.raw, world.curated, world.request(Target.SCOPE))
    assert made.dataset_dir is not None
    before = (made.dataset_dir / "sft.jsonl").read_bytes()
    (made.dataset_dir / "sft.jsonl").write_bytes(before[:100])
    assert curate(world.raw, world.curated, world.request(Target.SCOPE)).dataset_dir == made.dataset_dir
    assert (made.dataset_dir / "sft.jsonl").read_bytes() == before
    assert [p.name for p in made.dataset_dir.parent.iterdir()] == [made.dataset_dir.name]


def test_a_dry_run_writes_nothing_and_says_what_would_be_refused(world: World) -> None:
    gold_runs(world, Repository("one"))
    made = curate(world.raw, world.curated, world.request(Target.SCOPE, dry_run=True, min_organisations=None))
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
    made = curate(world.raw, world.curated, world.request(Target.PLANNING))
    said = sorted(line["completion"][0]["content"] for line in lines(made))
    assert said[0].startswith("<think>\nThink.\n</think>\n\n{")
    assert said[1].startswith("{")


# What is kept out


def test_a_reserved_repository_is_never_trained_on(world: World) -> None:
    gold_runs(world, Repository("one"), Repository("held"))
    reserve(world.curated, world.raw.engine, ["held"], "to evaluate on")
    made = curate(world.raw, world.curated, world.request(Target.SCOPE))
    assert made.card.repositories == {"one": 4}
    assert dropped(made)["reserved repository"] == 4


@pytest.mark.parametrize(("what", "reason"), [("commit", COMMIT), ("instance", INSTANCE)])
def test_what_is_evaluated_on_is_not_trained_on(world: World, what: str, reason: str) -> None:
    repository = Repository("one")
    gold_runs(world, repository)
    known = repository.instance(2)
    freeze(world, item(**{what: known.commit if what == "commit" else known.instance_id}))
    made = curate(world.raw, world.curated, world.request(Target.CODE))
    assert dropped(made)[reason] == 1
    assert {name: count for name, _, count in made.card.preference_funnel}[reason] == 3
    assert "one-2" not in {line["provenance"]["instance"] for line in lines(made)}
    assert made.dataset_dir is not None
    if what == "commit":
        assert contamination(made.dataset_dir, all_sets(world.curated)) == []


def asked(task: str, shown: str) -> tuple[Message, ...]:
    text = f"# Task\n\n```text\n{task}\n```\n\n# Candidate files\n\n{shown}\n"
    return Message(role="system", content="Judge."), Message(role="user", content=text)


WORDS = " ".join(f"word{n}" for n in range(40))


@pytest.mark.parametrize(
    ("task", "shown", "reason"),
    [
        ("other words, all of them", "other text", None),
        (f"so {WORDS[:90]}", "other text", TASK),
        (WORDS[: WORDS.index("word12")], "other text", None),
        ("Make the delayed init of hooks thread safe", "other text", TASK),
        ("make THE delayed `init` of hooks: thread-safe", "other text", TASK),
        ("Make the delayed init thread safe", "other text", None),
        ("another task", " ".join(f"shown{n}" for n in range(60)), PROMPT),
        ("another task", " ".join(f"shown{n}" for n in range(24)), PROMPT),
        ("another task", " ".join(f"shown{n}" for n in range(14)), None),
    ],
)
def test_words_of_an_evaluation_item_are_found(task: str, shown: str, reason: str | None) -> None:
    items = (
        item(asked(WORDS, " ".join(f"shown{n}" for n in range(60)))),
        item(asked("Make the delayed init of hooks thread safe", "x"), id="j"),
        item(asked("Make the delayed init thread", "x"), id="k"),
    )
    sets = [EvaluationSet(target=Target.SCOPE, repositories=("held",), items=items)]
    assert HeldOut(sets, CurationSettings()).why(any_provenance(), asked(task, shown)) == reason


def any_provenance() -> Provenance:
    return Provenance(
        campaign="c", trajectory="t", attempt=1, seq=0, instance="i", repository="r", organisation="o", domain="d",
        license="l", commit="c", base_commit="b", planner="gold", model="m", adapter=None, outcome="passed",
        oracle=None, attribution=None, alignment=None,
    )  # fmt: skip


def test_the_templates_own_words_are_no_contamination(world: World) -> None:
    repository = world.add(Repository("one", instances=2))
    for number in range(2):
        world.run(f"{repository.name}-{number}").meta_plan().close()
    one, other = read_pairs(world.raw, Target.PLANNING).pairs
    sets = [EvaluationSet(target=Target.SCOPE, repositories=("held",), items=(item(one.messages),))]
    assert HeldOut(sets, CurationSettings()).why(any_provenance(), other.messages) is None
    assert HeldOut(sets, CurationSettings(ngram=7)).why(any_provenance(), one.messages) == TASK


def test_prompts_are_held_to_the_window_and_to_what_is_asked_for(world: World) -> None:
    repository = world.add(Repository("one", instances=3))
    for number, more in enumerate((0, 60, 4000)):
        world.run(f"{repository.name}-{number}").precision(more=more).close()
    made = curate(world.raw, world.curated, world.request(Target.PRECISION))
    assert dropped(made)["over the window"] == 1
    narrow = curate(world.raw, world.curated, world.request(Target.PRECISION, windows={Stage.PRECISION: 700}))
    assert (narrow.card.window, dropped(narrow)["over the window"]) == (700, 2)
    short = curate(world.raw, world.curated, world.request(Target.PRECISION, max_prompt_tokens=700))
    assert sum(count for name, count in dropped(short).items() if name.startswith("prompt over 700 tokens")) == 2
    assert short.card.tokens["longest_prompt"] <= 700


def test_an_unknown_base_is_named(world: World) -> None:
    gold_runs(world, Repository("one"))
    with pytest.raises(RegistryError, match="no base 'nobody'"):
        curate(world.raw, world.curated, world.request(Target.SCOPE, base="nobody"))


def pair_of(text: str, answer: str, weight: float = 1.0) -> Example:
    messages = (Message(role="system", content="s"), Message(role="user", content=text))
    pair = Pair(
        stage=Stage.CODE, source="synthetic", messages=messages, answer=answer, weight=weight,
        provenance=any_provenance(),
    )  # fmt: skip
    return Example(pair, pair.id, 1, 1)


def test_of_near_duplicates_the_best_stays_and_answers_that_differ_are_none() -> None:
    long = " ".join(f"w{n}" for n in range(400))
    worse, best = pair_of(long, "the same answer", 0.5), pair_of(f"{long} more", "the same answer", 0.9)
    other_answer = pair_of(long, "an answer of its own, longer than that")
    other_prompt = pair_of(" ".join(f"v{n}" for n in range(400)), "the same answer")
    examples = [worse, best, other_answer, other_prompt]
    assert without_near_duplicates(examples, 0.9) == [best, other_answer, other_prompt]
    assert without_near_duplicates(examples[::-1], 0.9) == [other_prompt, other_answer, best]


def test_a_comparison_in_both_orders_is_no_near_duplicate(world: World) -> None:
    lines_of_code = "".join(f"    value{n} = {n}\n" for n in range(80))
    world.add(Repository("one"))
    world.run("one-0").code(edits=[SearchReplace(path="src/lib.py", search=lines_of_code, replace=OLD)]).close()
    made = curate(world.raw, world.curated, world.request(Target.CODE))
    assert sorted(line["chosen"][0]["content"] for line in lines(made, "dpo.jsonl"))[1:] == ["A", "B"]


# Shares


def test_too_few_organisations_are_refused_unless_that_is_said(world: World) -> None:
    gold_runs(world, *(Repository(name, organisation=f"org-{name}") for name in ("one", "two")))
    request = world.request(Target.SCOPE, min_organisations=None)
    with pytest.raises(GuardrailError, match=r"^organisations: .* 2 organisations \(org-one, org-two\)") as caught:
        curate(world.raw, world.curated, request)
    assert caught.value.rule == "organisations"
    assert not (world.folder / "data").exists()
    settings = CurationSettings(min_organisations=2, max_domain_share=1.0)
    made = curate(world.raw, world.curated, request.model_copy(update={"settings": settings}))
    assert made.card.config["overrides"] == {}
    made = curate(world.raw, world.curated, request.model_copy(update={"min_organisations": 2}))
    assert made.card.config["overrides"] == {"min_organisations": 2}


def test_too_few_domains_are_refused_unless_that_is_said(world: World) -> None:
    gold_runs(world, *(Repository(f"r{n}", domain="same") for n in range(5)))
    request = world.request(Target.SCOPE, min_organisations=None)
    with pytest.raises(GuardrailError, match=r"^domain-share: .*--max-domain-share 1.0"):
        curate(world.raw, world.curated, request)
    made = curate(world.raw, world.curated, request.model_copy(update={"max_domain_share": 1.0}))
    assert made.card.config["overrides"] == {"max_domain_share": 1.0}


def test_a_round_of_one_domain_is_refused_however_many_the_pool_has(world: World) -> None:
    gold_runs(world, *(Repository(f"r{n}", domain=f"d{n}") for n in range(5)), campaign="many")
    gold_runs(world, Repository("new", domain="d0"), campaign="one")
    settings = CurationSettings(min_organisations=1)
    request = world.request(Target.SCOPE, min_organisations=None, settings=settings, campaigns=("one",))
    with pytest.raises(GuardrailError, match=r"^domain-share: examples come from 1 domains \(d0\)"):
        curate(world.raw, world.curated, request)


def test_no_domain_has_more_than_its_share(world: World) -> None:
    names = ("a", "bb", "ccc", "dddd", "eeeee")
    gold_runs(world, *(Repository(name, domain=name, instances=4 if name == "a" else 2) for name in names))
    made = curate(world.raw, world.curated, world.request(Target.SCOPE, min_organisations=None))
    assert made.card.domains == dict.fromkeys(names, 2)
    assert dropped(made) == {"domain over its share": 2}


@given(st.dictionaries(st.sampled_from("abcdefg"), st.integers(1, 30), min_size=1), st.sampled_from([0.2, 0.3, 0.5, 1]))
def test_shares_are_kept_by_as_many_as_can_be(sizes: dict[str, int], share: float) -> None:
    examples = [pair_of(f"{group} {n}", "a") for group, size in sizes.items() for n in range(size)]

    def group(example: Example) -> str:
        return example.item.messages[1].content[0]

    kept = within_share(examples, group, share)
    counts = Counter(group(example) for example in kept)
    assert all(count <= share * len(kept) + 1e-6 for count in counts.values())
    if len(sizes) * share >= 1 and all(size == max(sizes.values()) for size in sizes.values()):
        assert len(kept) >= len(examples) * min(1, int(1 / share) / len(sizes)) - len(sizes)


def test_no_stage_has_more_than_its_share_of_planning() -> None:
    examples = []
    for stage, count in ((Stage.META_PLAN, 2), (Stage.PART_PLAN, 2), (Stage.TEST_PLAN, 2), (Stage.ADJUSTMENT, 30)):
        for n in range(count):
            example = pair_of(f"{stage.value} {n}", "a")
            examples.append(Example(example.item.model_copy(update={"stage": stage}), f"{stage.value}{n}", 1, 1))
    counts = Counter(each.item.stage for each in by_stage(examples, 0.4))
    assert counts == {Stage.META_PLAN: 2, Stage.PART_PLAN: 2, Stage.TEST_PLAN: 2, Stage.ADJUSTMENT: 4}


def test_examples_that_know_the_commonest_class_alone_are_few(world: World) -> None:
    repository = world.add(Repository("one", instances=8))
    for number in range(8):
        run = world.run(f"{repository.name}-{number}")
        uses = {"help": SymbolUse.EXCLUDED, f"h{number}": SymbolUse.EXCLUDED} if number < 4 else None
        run.precision(uses).close()
    made = curate(world.raw, world.curated, world.request(Target.PRECISION))
    assert dropped(made) == {"commonest class alone": 3}
    assert made.card.classes["primary"] == 4


def test_one_class_teaches_nothing(world: World) -> None:
    repository = world.add(Repository("one"))
    for number in range(4):
        run = world.run(f"{repository.name}-{number}")
        run.scope({"src/lib.py": "relevant", "src/other.py": "relevant"}).close()
    request = world.request(Target.SCOPE, settings=CurationSettings(uniform_share=1))
    with pytest.raises(TrainingError, match=r"all 8 judgements are 'relevant'.*4 calls"):
        curate(world.raw, world.curated, request)


def test_nothing_to_learn_from_is_said_with_the_funnel(world: World) -> None:
    repository = world.add(Repository("one"))
    for number in range(2):
        world.run(f"{repository.name}-{number}", "student").scope().close(OutcomeKind.TESTS_FAILED)
    with pytest.raises(TrainingError, match=r"nothing to train scope on \(2 calls; dropped: run did not pass 2\)"):
        curate(world.raw, world.curated, world.request(Target.SCOPE))


def test_a_limit_is_kept(world: World) -> None:
    gold_runs(world, Repository("one"))
    made = curate(world.raw, world.curated, world.request(Target.CODE, limit=2))
    assert (made.card.examples["sft"], made.card.examples["dpo"]) == (2, 2)
    assert dropped(made) == {"over the limit of 2": 2}


# Splits and order


def test_validation_is_split_off_by_repository_where_there_are_three(world: World) -> None:
    gold_runs(world, *(Repository(f"r{n}", instances=2) for n in range(8)))
    made = curate(world.raw, world.curated, world.request(Target.CODE))
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
    made = curate(world.raw, world.curated, world.request(Target.CODE))
    assert 1 <= made.card.examples["validation"] <= 3
    held = {line["provenance"]["instance"] for line in lines(made) if line["split"] == "validation"}
    assert all(
        (line["chosen_by"]["instance"] in held) == (line["split"] == "validation") for line in lines(made, "dpo.jsonl")
    )


def test_symbols_are_learned_from_few_to_many(world: World) -> None:
    gold_runs(world, Repository("one", instances=7))
    made = curate(world.raw, world.curated, world.request(Target.PRECISION))
    judged = [len(json.loads(line["completion"][0]["content"])["symbols"]["src/lib.py"]) for line in lines(made)]
    assert judged == sorted(judged)
    assert len(set(judged)) > 3


# Rounds


def test_a_round_is_what_is_new_with_a_share_of_what_was(world: World) -> None:
    gold_runs(world, Repository("one", instances=20), campaign="first")
    first = curate(world.raw, world.curated, world.request(Target.SCOPE))
    trained_on(world, first)
    gold_runs(world, Repository("two", instances=17), campaign="second")
    second = curate(world.raw, world.curated, world.request(Target.SCOPE))
    assert second.card.rounds.model_dump() == {
        "earlier": (first.card.id,), "pool": 20, "new": 17, "replayed": 3, "whole": False,
    }  # fmt: skip
    assert second.card.repositories == {"two": 17, "one": 3}
    assert 0.1 <= 3 / 20 <= 0.2
    old = {line["id"] for line in lines(first)}
    assert len(old & {line["id"] for line in lines(second)}) == 3
    whole = curate(world.raw, world.curated, world.request(Target.SCOPE, whole_pool=True))
    assert whole.card.repositories == {"one": 20, "two": 17}
    assert old < {line["id"] for line in lines(whole)}


def test_a_round_curated_again_comes_out_the_same_after_it_was_trained_on(world: World) -> None:
    gold_runs(world, Repository("one"))
    first = curate(world.raw, world.curated, world.request(Target.SCOPE))
    trained_on(world, first)
    assert curate(world.raw, world.curated, world.request(Target.SCOPE)).card == first.card
    gold_runs(world, Repository("two"))
    second = curate(world.raw, world.curated, world.request(Target.SCOPE))
    trained_on(world, second)
    assert second.card.id != first.card.id
    assert curate(world.raw, world.curated, world.request(Target.SCOPE)).card == second.card


def test_the_same_pool_mixed_otherwise_is_the_whole_pool_again(world: World) -> None:
    gold_runs(world, Repository("one", instances=9))
    small = curate(world.raw, world.curated, world.request(Target.SCOPE, limit=2))
    assert (small.trained, small.card.rounds.whole) == (False, False)
    trained_on(world, small)
    full = curate(world.raw, world.curated, world.request(Target.SCOPE))
    assert full.card.rounds.model_dump() == {
        "earlier": (small.card.id,), "pool": 9, "new": 0, "replayed": 9, "whole": True,
    }  # fmt: skip
    trained_on(world, full)
    again = curate(world.raw, world.curated, world.request(Target.SCOPE))
    assert (again.card, again.trained) == (full.card, True)
    assert curate(world.raw, world.curated, world.request(Target.SCOPE, limit=2)).card == small.card


def test_a_dataset_that_nobody_trained_on_is_no_round(world: World) -> None:
    gold_runs(world, Repository("one"))
    curate(world.raw, world.curated, world.request(Target.SCOPE, limit=1))
    gold_runs(world, Repository("two"))
    made = curate(world.raw, world.curated, world.request(Target.SCOPE))
    assert (made.card.rounds.earlier, made.card.rounds.new) == ((), 8)


def test_a_campaign_narrows_what_is_new_and_another_targets_rounds_do_not_count(world: World) -> None:
    gold_runs(world, Repository("one"), campaign="first")
    gold_runs(world, Repository("two"), campaign="second")
    trained_on(world, curate(world.raw, world.curated, world.request(Target.CODE)))
    made = curate(world.raw, world.curated, world.request(Target.SCOPE, campaigns=("second",)))
    assert made.card.repositories == {"two": 4}
    assert dropped(made) == {"of earlier rounds or other campaigns": 4}


def test_what_is_replayed_is_held_to_the_rules_of_today(world: World) -> None:
    gold_runs(world, Repository("one", instances=20))
    trained_on(world, curate(world.raw, world.curated, world.request(Target.SCOPE)))
    gold_runs(world, Repository("two", instances=17))
    reserve_row(world, "one")
    made = curate(world.raw, world.curated, world.request(Target.SCOPE))
    assert made.card.repositories == {"two": 17}


def reserve_row(world: World, name: str) -> None:
    with writing(world.curated) as connection:
        add(connection, Reservation(repository=name, reason="r"))


def test_what_a_dataset_was_drawn_from_is_kept(world: World) -> None:
    gold_runs(world, Repository("one"))
    made = curate(world.raw, world.curated, world.request(Target.SCOPE, limit=1))
    considered = world.raw.get_text(made.card.config["considered"])
    assert considered.split() == sorted(pair.id for pair in read_pairs(world.raw, Target.SCOPE).pairs)
    assert sha256(considered) == made.card.config["considered"]


def test_a_plan_that_is_none_is_named(world: World) -> None:
    gold_runs(world, Repository("one"))
    for wrong in ("abc", "0123456789", "../../etc", world.raw.put_text("{}")):
        with pytest.raises(UsageError, match=f"no plan '{wrong}'"):
            curate(world.raw, world.curated, world.request(Target.SCOPE, plan=wrong))


def test_tokens_are_counted_as_the_base_counts_them(world: World) -> None:
    gold_runs(world, Repository("one"))
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    base = frozen_base(world, tokenizer.to_str())
    made = curate(world.raw, world.curated, world.request(Target.SCOPE, base="words"))
    assert made.card.config["counter"] == f"words {base[:12]}"
    longest = max(sum(len(tokenizer.encode(m["content"]).ids) for m in line["prompt"]) for line in lines(made))
    assert made.card.tokens["longest_prompt"] == longest + PROMPT_FRAME + 2 * MESSAGE_FRAME


def test_a_base_without_a_tokenizer_that_can_be_read_is_named(world: World) -> None:
    gold_runs(world, Repository("one"))
    frozen_base(world, "{}")
    with pytest.raises(RegistryError, match=r"base words: .*tokenizer.json is no tokenizer.json"):
        curate(world.raw, world.curated, world.request(Target.SCOPE, base="words"))


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
