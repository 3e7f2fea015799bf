"""What is kept out of datasets, and the shares that one organisation, domain, stage or class may have."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.sets import all_sets, reserve
from evals.sets.leakage import contamination
from models.chat import Message
from models.context import SymbolUse
from models.curation_settings import CurationSettings
from models.edits import SearchReplace
from models.errors import GuardrailError, RegistryError, TrainingError
from models.evaluation import EvaluationSet
from models.outcomes import OutcomeKind
from models.protocols import Stage
from models.training import TrainingTarget
from tests.support.curation_material import any_provenance, dropped, freeze, item, lines, pair_of
from tests.support.pairs_material import OLD, Repository, World, gold_runs
from training.data.curation import curate
from training.data.curation.balance import by_stage, within_share
from training.data.curation.contamination import COMMIT, INSTANCE, PROMPT, TASK, HeldOut
from training.data.curation.duplicates import without_near_duplicates
from training.data.curation.examples import Example
from training.data.sources import read_pairs


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


# What is kept out


def test_a_reserved_repository_is_never_trained_on(world: World) -> None:
    gold_runs(world, Repository("one"), Repository("held"))
    reserve(world.curated, world.raw.engine, ["held"], "to evaluate on")
    made = curate(world.raw, world.curated, world.request(TrainingTarget.SCOPE))
    assert made.card.repositories == {"one": 4}
    assert dropped(made)["reserved repository"] == 4


@pytest.mark.parametrize(("what", "reason"), [("commit", COMMIT), ("instance", INSTANCE)])
def test_what_is_evaluated_on_is_not_trained_on(world: World, what: str, reason: str) -> None:
    repository = Repository("one")
    gold_runs(world, repository)
    known = repository.instance(2)
    freeze(world, item(**{what: known.commit if what == "commit" else known.instance_id}))
    made = curate(world.raw, world.curated, world.request(TrainingTarget.CODE))
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
    sets = [EvaluationSet(target=TrainingTarget.SCOPE, repositories=("held",), items=items)]
    assert HeldOut(sets, CurationSettings()).why(any_provenance(), asked(task, shown)) == reason


def test_the_templates_own_words_are_no_contamination(world: World) -> None:
    repository = world.add(Repository("one", instances=2))
    for number in range(2):
        world.run(f"{repository.name}-{number}").meta_plan().close()
    one, other = read_pairs(world.raw, TrainingTarget.PLANNING).pairs
    sets = [EvaluationSet(target=TrainingTarget.SCOPE, repositories=("held",), items=(item(one.messages),))]
    assert HeldOut(sets, CurationSettings()).why(any_provenance(), other.messages) is None
    assert HeldOut(sets, CurationSettings(ngram=7)).why(any_provenance(), one.messages) == TASK


def test_prompts_are_held_to_the_window_and_to_what_is_asked_for(world: World) -> None:
    repository = world.add(Repository("one", instances=3))
    for number, more in enumerate((0, 60, 4000)):
        world.run(f"{repository.name}-{number}").precision(more=more).close()
    made = curate(world.raw, world.curated, world.request(TrainingTarget.PRECISION))
    assert dropped(made)["over the window"] == 1
    narrow = curate(world.raw, world.curated, world.request(TrainingTarget.PRECISION, windows={Stage.PRECISION: 700}))
    assert (narrow.card.window, dropped(narrow)["over the window"]) == (700, 2)
    short = curate(world.raw, world.curated, world.request(TrainingTarget.PRECISION, max_prompt_tokens=700))
    assert sum(count for name, count in dropped(short).items() if name.startswith("prompt over 700 tokens")) == 2
    assert short.card.tokens["longest_prompt"] <= 700


def test_an_unknown_base_is_named(world: World) -> None:
    gold_runs(world, Repository("one"))
    with pytest.raises(RegistryError, match="no base 'nobody'"):
        curate(world.raw, world.curated, world.request(TrainingTarget.SCOPE, base="nobody"))


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
    made = curate(world.raw, world.curated, world.request(TrainingTarget.CODE))
    assert sorted(line["chosen"][0]["content"] for line in lines(made, "critic.jsonl")) == ["A", "B"]
    assert made.card.examples["critic"] == 2 and len(lines(made, "dpo.jsonl")) == made.card.examples["dpo"] == 1


# Shares


def test_too_few_organisations_are_refused_unless_that_is_said(world: World) -> None:
    gold_runs(world, *(Repository(name, organisation=f"org-{name}") for name in ("one", "two")))
    request = world.request(TrainingTarget.SCOPE, min_organisations=None)
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
    request = world.request(TrainingTarget.SCOPE, min_organisations=None)
    with pytest.raises(GuardrailError, match=r"^domain-share: .*--max-domain-share 1.0"):
        curate(world.raw, world.curated, request)
    made = curate(world.raw, world.curated, request.model_copy(update={"max_domain_share": 1.0}))
    assert made.card.config["overrides"] == {"max_domain_share": 1.0}


def test_a_round_of_one_domain_is_refused_however_many_the_pool_has(world: World) -> None:
    gold_runs(world, *(Repository(f"r{n}", domain=f"d{n}") for n in range(5)), campaign="many")
    gold_runs(world, Repository("new", domain="d0"), campaign="one")
    settings = CurationSettings(min_organisations=1)
    request = world.request(TrainingTarget.SCOPE, min_organisations=None, settings=settings, campaigns=("one",))
    with pytest.raises(GuardrailError, match=r"^domain-share: examples come from 1 domains \(d0\)"):
        curate(world.raw, world.curated, request)


def test_no_domain_has_more_than_its_share(world: World) -> None:
    names = ("a", "bb", "ccc", "dddd", "eeeee")
    gold_runs(world, *(Repository(name, domain=name, instances=4 if name == "a" else 2) for name in names))
    made = curate(world.raw, world.curated, world.request(TrainingTarget.SCOPE, min_organisations=None))
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
    made = curate(world.raw, world.curated, world.request(TrainingTarget.PRECISION))
    assert dropped(made) == {"commonest class alone": 3}
    assert made.card.classes["primary"] == 4


def test_examples_in_which_nothing_is_to_be_found_have_a_share(world: World) -> None:
    repository = world.add(Repository("one", instances=9))
    for number in range(9):
        found = "relevant" if number < 2 else "supporting"
        run = world.run(f"{repository.name}-{number}")
        run.scope({"src/lib.py": found, "src/other.py": "irrelevant", "src/far.py": "irrelevant"}).close()
    for share, kept in ((0.5, 4), (0.75, 8), (0.0, 2), (1.0, 9)):
        settings = CurationSettings(seeking_share=share)
        made = curate(world.raw, world.curated, world.request(TrainingTarget.SCOPE, settings=settings))
        assert made.card.examples["sft"] == kept
        assert dropped(made) == ({"nothing to be found": 9 - kept} if kept < 9 else {})
        assert made.card.classes["relevant"] == 2


def test_one_class_teaches_nothing(world: World) -> None:
    repository = world.add(Repository("one"))
    for number in range(4):
        run = world.run(f"{repository.name}-{number}")
        run.scope({"src/lib.py": "relevant", "src/other.py": "relevant"}).close()
    request = world.request(TrainingTarget.SCOPE, settings=CurationSettings(uniform_share=1))
    with pytest.raises(TrainingError, match=r"all 8 judgements are 'relevant'.*4 calls"):
        curate(world.raw, world.curated, request)


def test_nothing_to_learn_from_is_said_with_the_funnel(world: World) -> None:
    repository = world.add(Repository("one"))
    for number in range(2):
        world.run(f"{repository.name}-{number}", "student").scope().close(OutcomeKind.TESTS_FAILED)
    with pytest.raises(TrainingError, match=r"nothing to train scope on \(2 calls; dropped: run did not pass 2\)"):
        curate(world.raw, world.curated, world.request(TrainingTarget.SCOPE))


def test_a_limit_is_kept(world: World) -> None:
    gold_runs(world, Repository("one"))
    made = curate(world.raw, world.curated, world.request(TrainingTarget.CODE, limit=2))
    assert (made.card.examples["sft"], made.card.examples["dpo"]) == (2, 2)
    assert dropped(made) == {"over the limit of 2": 2}
