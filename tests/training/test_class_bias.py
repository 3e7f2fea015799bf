"""The bias of classes: how it is fitted, that it travels with its adapter, and that it is applied in this process."""

import json
import math
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evals.recall_floor import RecallFloor, fewest_rows
from evals.scoring import Question, evaluation_id
from evals.thresholds import LEAST_RECALLS
from models.chat import Message
from models.class_bias import CLASS_BIAS, ClassBias, asks_for_letters, read_class_bias
from models.errors import RegistryError
from models.evaluation import Evaluation
from models.settings import Settings
from models.training import TrainingTarget
from models.training_settings import TrainingSettings
from store.keys import digest
from store.runs import open_raw_store
from tests.support.fitting_data import judged_dataset, lettered_dataset, tiny_base
from tests.support.registry_material import make_adapter, register
from training.adapters.registry import AdapterVersion, Registry
from training.adapters.registry.statement import read_statement
from training.bases.bases import Base, find_base
from training.bases.chat_format import ChatFormat
from training.cycle.context import TrainingContext
from training.cycle.evaluation import evaluation_ids
from training.cycle.local_answers import LocalAnswerer
from training.fit.class_bias import FOLDS, _best, fit_bias, floor_of
from training.fit.decision_scores import DecisionScores, macro_f1
from training.fit.fitting import Fit, fit_sft
from training.fit.recipe import Recipe, recipe_for

LABELS = ("irrelevant", "relevant", "supporting")
TOKENS = {"irrelevant": (3,), "relevant": (4,), "supporting": (5,)}
LETTERS = {"properties": {str(n): {"enum": ["R", "S", "I"]} for n in (1, 2)}, "type": "object"}


def scored(rows: Sequence[tuple[int, Sequence[float]]]) -> DecisionScores:
    """Decisions of (right class, logits)."""
    logs = [[each - math.log(sum(map(math.exp, logits))) for each in logits] for _, logits in rows]
    return DecisionScores(LABELS, logs, [gold for gold, _ in rows], 1.0)


def shy(count: int = 120, seed: int = 1, spread: float = 0.5) -> DecisionScores:
    """A judge that tells classes apart but favours the commonest by two nats; the wider the spread, the worse."""
    generator = random.Random(seed)
    rows = []
    for _ in range(count):
        gold = generator.choices((0, 1, 2), (0.6, 0.25, 0.15))[0]
        logits = [generator.gauss(1.5 if label == gold else 0.0, spread) for label in range(3)]
        rows.append((gold, [logits[0] + 2.0, *logits[1:]]))
    return scored(rows)


def chosen(scores: DecisionScores, bias: ClassBias) -> list[int]:
    added = [
        [value + bias.offsets[label] for label, value in zip(LABELS, row, strict=True)] for row in scores.log_probs
    ]
    return [row.index(max(row)) for row in added]


def test_a_judge_that_favours_a_class_is_set_right_and_chooses_as_the_sum_says() -> None:
    scores = shy()
    bias = fit_bias(scores, range(120), TOKENS)
    assert bias.offsets["irrelevant"] == 0 and bias.offsets["relevant"] > 1 and bias.offsets["supporting"] > 1
    assert bias.macro_f1_without == pytest.approx(macro_f1(scores.chosen, scores.gold), abs=1e-4)
    assert bias.macro_f1_with == pytest.approx(macro_f1(chosen(scores, bias), scores.gold), abs=1e-4)
    assert bias.macro_f1_with > bias.macro_f1_across > bias.macro_f1_without + 0.2  # type: ignore[operator]
    fresh = shy(seed=2)
    assert macro_f1(chosen(fresh, bias), fresh.gold) > macro_f1(fresh.chosen, fresh.gold) + 0.2
    assert fit_bias(scores, range(120), TOKENS).model_dump_json() == bias.model_dump_json()


def recall_of(label: int, chosen: Sequence[int], gold: Sequence[int]) -> float:
    return sum(each == label for each, right in zip(chosen, gold, strict=True) if right == label) / gold.count(label)


def test_the_recall_that_the_gate_asks_for_is_fitted_for_where_it_costs_no_macro_f1() -> None:
    relevant, reached = LABELS.index("relevant"), {"with": 0, "without": 0}
    fresh = shy(2000, 99, 0.9)
    for seed in range(6):
        scores = shy(400, seed, 0.9)
        bias = fit_bias(scores, range(400), TOKENS)
        assert bias.active and bias.least_recall == {"relevant": LEAST_RECALLS["relevant"]}
        free = _best(np.asarray(scores.log_probs), np.asarray(scores.gold))
        plain = ClassBias(offsets=dict(zip(LABELS, map(float, free), strict=True)))
        for name, offsets in (("with", bias), ("without", plain)):
            reached[name] += recall_of(relevant, chosen(fresh, offsets), fresh.gold) >= LEAST_RECALLS["relevant"]
    assert reached["with"] >= 5 and reached["without"] <= 1
    few = shy(40, seed=3)
    assert few.gold.count(relevant) < fewest_rows(LEAST_RECALLS["relevant"])
    assert fit_bias(few, range(40), TOKENS).least_recall is None


def leaning(seed: int, count: int = 90) -> DecisionScores:
    """A judge that favours `relevant` at times, and finds nearly all of it without offsets."""
    generator = random.Random(seed)
    lean, rows = [generator.uniform(-1, 1) for _ in LABELS], []
    for _ in range(count):
        gold = generator.choices((0, 1, 2), (0.45, 0.3, 0.25))[0]
        logits = [generator.gauss(1.5 if label == gold else 0.0, 1.0) + lean[label] for label in range(3)]
        rows.append((gold, [logits[0], logits[1] + generator.choice((0.0, 1.0)), logits[2]]))
    return scored(rows)


def test_offsets_for_a_recall_never_miss_more_than_none_do() -> None:
    already = 0
    for seed in range(60):
        scores = leaning(seed)
        logs, gold = np.asarray(scores.log_probs), np.asarray(scores.gold)
        for floor in (RecallFloor(1, 0.7), RecallFloor(1, 0.85)):
            allowed = floor.allowed(scores.gold)
            if allowed is None or int((logs.argmax(1)[gold == 1] != 1).sum()) > allowed:
                continue
            already += 1
            found = (logs + _best(logs, gold, floor)).argmax(1)
            assert int((found[gold == 1] != 1).sum()) <= allowed, (seed, floor)
            assert macro_f1(found.tolist(), scores.gold) >= macro_f1(scores.chosen, scores.gold)
    assert already > 20


def test_a_recall_is_asked_for_only_where_every_fold_leaves_enough_of_the_class() -> None:
    gold = [1] * 20 + [0] * 80
    scores = scored([(label, [0.0, 0.0, 0.0]) for label in gold])
    spread, bunched = list(range(100)), [0] * 12 + list(range(1, 89))
    assert fewest_rows(LEAST_RECALLS["relevant"]) == 15
    assert floor_of(scores, spread) is not None
    assert floor_of(scores, bunched) is None, "without the first fold too few are left"


def test_a_class_that_no_row_decides_for_has_no_offset() -> None:
    seen = [(gold, row) for gold, row in zip(shy().gold, shy().log_probs, strict=True) if gold != 2]
    bias = fit_bias(scored(seen), range(len(seen)), TOKENS)
    assert bias.offsets["supporting"] == 0 == bias.offsets["irrelevant"] and bias.offsets["relevant"] > 0
    assert bias.by_token == {4: bias.offsets["relevant"]} and bias.active and bias.identity


def noise(seed: int, count: int = 60) -> DecisionScores:
    """A judge whose scores say nothing of the right class."""
    generator = random.Random(seed)
    drawn = [generator.choices((0, 1, 2))[0] for _ in range(count)]
    return scored([(gold, [generator.gauss(0.0, 1.0) for _ in LABELS]) for gold in drawn])


def test_offsets_that_gain_only_where_they_were_fitted_are_hardly_ever_kept() -> None:
    kept = 0
    for seed in range(40):
        scores = noise(seed)
        offsets = _best(np.asarray(scores.log_probs), np.asarray(scores.gold))
        fitted = ClassBias(offsets=dict(zip(LABELS, map(float, offsets), strict=True)))
        assert macro_f1(chosen(scores, fitted), scores.gold) >= macro_f1(scores.chosen, scores.gold)
        bias = fit_bias(scores, range(60), TOKENS)
        kept += bias.active
        if not bias.active:
            assert set(bias.offsets.values()) == {0.0} and bias.identity == "" and bias.note
            assert bias.macro_f1_with == bias.macro_f1_without
    assert kept <= 4
    assert all(fit_bias(shy(seed=seed), range(120), TOKENS).active for seed in range(10))


def test_questions_answered_in_letters_are_told_by_their_schema() -> None:
    assert asks_for_letters(LETTERS)
    for other in (None, {}, {"properties": {}}, {"properties": {"files": {}}}, {"properties": {"1": {}, "a.py": {}}}):
        assert not asks_for_letters(other)


def a_recipe(**changes: Any) -> Recipe:
    settings = TrainingSettings(batch_size=4, epochs=1, max_tokens=512, learning_rate=5e-3, patience=5)
    plain = {"quantisation": "none", "precision": "fp32", "optimizer": "adamw_torch", "packing": False}
    plain |= {"gradient_checkpointing": "no", "micro_batch": 2, "thinking": False}
    return recipe_for(TrainingTarget.SCOPE, "sft", settings).model_copy(update=plain | changes)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return tiny_base(tmp_path_factory.mktemp("bias") / "base")


@pytest.fixture(scope="module")
def fit(base: Base, tmp_path_factory: pytest.TempPathFactory) -> Fit:
    folder = tmp_path_factory.mktemp("fit")
    return fit_sft(lettered_dataset(folder / "d", validation=20), base, folder / "o", a_recipe(), lambda _: None)


@pytest.mark.slow
def test_a_training_gives_the_same_bias_of_its_last_weights_each_time(base: Base, fit: Fit, tmp_path: Path) -> None:
    dataset = lettered_dataset(tmp_path / "d", validation=20)
    again = fit_sft(dataset, base, tmp_path / "o", a_recipe(), lambda _: None)
    assert again.class_bias is not None and fit.class_bias is not None
    assert again.class_bias.model_dump_json() == fit.class_bias.model_dump_json()
    encoder = ChatFormat.load(base.path).encoder
    assert fit.class_bias.tokens == {label: tuple(encoder.ids(label[0].upper())) for label in LABELS}
    assert fit.class_bias.decisions == 20 * 6


@pytest.mark.slow
def test_answers_in_full_and_few_rows_give_no_offsets_and_say_why(base: Base, tmp_path: Path) -> None:
    full = fit_sft(judged_dataset(tmp_path / "d", validation=8), base, tmp_path / "o", a_recipe(), lambda _: None)
    few = lettered_dataset(tmp_path / "e", validation=FOLDS - 1)
    short = fit_sft(few, base, tmp_path / "p", a_recipe(), lambda _: None)
    for bias, why in ((full.class_bias, "in full"), (short.class_bias, f"{FOLDS - 1} validation rows")):
        assert bias is not None and not bias.active and why in bias.note


CLASSES = re.compile(r'"\d": "(\w)')
DECIDES = re.compile(r'"\d+"\s*:\s*"$')


def by_hand(base: Base, adapter: Path, messages: Sequence[Message], most: int, added: dict[int, float]) -> str:
    """Greedy decoding with offsets where a class is due, the whole text through the model for every token."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    chat = ChatFormat.load(base.path, thinking=False)
    model: Any = AutoModelForCausalLM.from_pretrained(str(base.path), dtype=torch.float32)
    model = PeftModel.from_pretrained(model, str(adapter)).eval()
    ids, said = chat.prompt_ids([message.model_dump() for message in messages]), list[int]()
    with torch.no_grad():
        while len(said) < most and chat.end_id not in said:
            logits = model(torch.tensor([ids + said])).logits[0, -1]
            if DECIDES.search(chat.text(said)):
                for token, value in added.items():
                    logits[token] += value
            said.append(int(logits.argmax()))
    return chat.text([token for token in said if token != chat.end_id])


@pytest.mark.slow
def test_answers_in_this_process_are_those_of_logits_with_offsets(base: Base, tmp_path: Path) -> None:
    dataset, chat = lettered_dataset(tmp_path / "d", rows=160), ChatFormat.load(base.path, thinking=False)
    learned = a_recipe(epochs=5, learning_rate=1e-2, forced_weight=1.0, micro_batch=4, early_stopping="loss")
    fit = fit_sft(dataset, base, tmp_path / "o", learned, lambda _: None)
    first = json.loads((dataset / "sft.jsonl").read_text().splitlines()[0])
    asked = [Message.model_validate(each) for each in first["prompt"]]
    plain = LocalAnswerer(base.path, base.name, fit.adapter_dir, thinking=False)
    said = plain.answer(asked, 40, 0, 0.0, LETTERS)
    assert len(CLASSES.findall(said)) > 2, f"it has not learned the form: {said}"
    for label in LABELS:
        for offset in (0.25, 30.0):
            bias = ClassBias(offsets={label: offset}, tokens={label: tuple(chat.encoder.ids(label[0].upper()))})
            answerer = LocalAnswerer(base.path, base.name, fit.adapter_dir, thinking=False, bias=bias)
            answer = answerer.answer(asked, 40, 0, 0.0, LETTERS)
            assert answer == by_hand(base, fit.adapter_dir, asked, 40, bias.by_token)
        assert set(CLASSES.findall(answer)) == {label[0].upper()}
        both = [Question(asked, 40, LETTERS), Question(asked, 40, {"properties": {"files": {}}})]
        assert answerer.answer_many(both, 0, 0.0) == [answer, said]
    idle = ClassBias(offsets={"relevant": 0.0}, tokens={"relevant": (1,)})
    unbiased = LocalAnswerer(base.path, base.name, fit.adapter_dir, thinking=False, bias=idle)
    assert unbiased.answer(asked, 40, 0, 0.0, LETTERS) == said


def test_a_bias_is_signed_with_its_adapter_and_its_row_may_not_differ(local: Registry, tmp_path: Path) -> None:
    bias = ClassBias(offsets={"relevant": 1.0}, tokens={"relevant": (4,)}, decisions=9)
    stated = {CLASS_BIAS: bias.model_dump(mode="json")}
    folder = make_adapter(tmp_path / "trained")
    made = local.register(folder, TrainingTarget.SCOPE, "tiny", "d" * 64, "p" * 64, stated, {"r": 4} | stated, "abc")
    plain = register(local, make_adapter(tmp_path / "plain", 2.0))
    assert plain.class_bias is None and CLASS_BIAS not in read_statement(plain.path).predicate.config
    assert local.verify("scope-v1").class_bias == bias
    assert read_class_bias(read_statement(made.path).predicate.config) == bias
    with local._curated.begin() as connection:
        connection.exec_driver_sql("UPDATE adapter_metadata SET metrics = '{}' WHERE version = 1")
    with pytest.raises(RegistryError, match="class bias"):
        local.verify("scope-v1")


def test_weights_that_are_registered_are_refused_with_other_offsets(local: Registry, tmp_path: Path) -> None:
    folder = make_adapter(tmp_path / "trained")
    first, second = (ClassBias(offsets={"relevant": each}, tokens={"relevant": (4,)}) for each in (1.0, 2.0))

    def add(bias: ClassBias | None) -> AdapterVersion:
        stated = {} if bias is None else {CLASS_BIAS: bias.model_dump(mode="json")}
        return local.register(folder, TrainingTarget.SCOPE, "tiny", "d" * 64, "p" * 64, stated, stated, "abc")

    made = add(first)
    assert add(first) == made == add(first.model_copy(update={"macro_f1_with": 0.5}))
    for other in (second, None):
        with pytest.raises(RegistryError, match=r"scope-v1 with class bias relevant \+1.00"):
            add(other)
    assert local.show("scope-v1").class_bias == first and len(local.list()) == 1


def test_an_evaluation_is_of_the_offsets_as_well(local: Registry, tmp_path: Path) -> None:
    known = register(local, make_adapter(tmp_path / "trained"))
    base = find_base(local._curated, "tiny")
    context = TrainingContext(Settings(), open_raw_store(str(tmp_path / "raw.sqlite")), local._curated, local)

    def asked(bias: ClassBias | None) -> str:
        metrics = {} if bias is None else {CLASS_BIAS: bias.model_dump(mode="json")}
        subject = context.subject(base, known.model_copy(update={"metrics": metrics}))
        baseline = Evaluation(
            set_id="s", target=TrainingTarget.SCOPE, subject=context.subject(base, None), settings={}, scores=(),
            seconds=0.0,
        )  # fmt: skip
        found = evaluation_id("s", subject, {})
        assert evaluation_ids(baseline, known.id, bias)[1] == found
        return found

    plain = asked(None)
    assert asked(ClassBias(note="no gain")) == plain == digest("evaluation", "s", base.id, known.id, {})
    given = [asked(ClassBias(offsets={"relevant": each}, tokens={"relevant": (4,)})) for each in (1.0, 2.0)]
    assert len({plain, *given}) == 3
