"""Weights of tokens: where the decisions of an answer are, what they weigh, and that weights of 1 change nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.context import Relevance, SymbolUse
from models.protocols import Stage
from models.training import TrainingTarget
from models.training_settings import TrainingSettings
from tests.support.fitting_data import judged_dataset, tiny_base
from training.bases.bases import Base
from training.bases.chat_format import ChatFormat
from training.fit.adapter import CONFIG, WEIGHTS
from training.fit.data import IGNORED, TrainingRow, preference_rows, supervised_rows
from training.fit.decisions import class_weights, decisions_of, forced_spans, reasoning_spans, token_at
from training.fit.fitting import Fit, Fitting, fit_sft
from training.fit.recipe import Method, Recipe, recipe_for
from training.fit.weights import answer_tokens, token_weights

_PATHS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)


@given(st.dictionaries(_PATHS, st.sampled_from(list(Relevance)), min_size=1), st.sampled_from([None, 1]), st.booleans())
def test_every_class_of_a_judges_json_is_found_where_it_is_written(
    files: dict[str, Relevance], indent: int | None, ascii_only: bool
) -> None:
    text = json.dumps(
        {"files": {path: each.value for path, each in files.items()}}, indent=indent, ensure_ascii=ascii_only
    )
    found = decisions_of(Stage.SCOPE, text)
    assert [each.label for each in found] == [each.value for each in files.values()]
    assert all(text[each.place :].startswith(each.label + '"') for each in found)


@given(st.lists(st.sampled_from("PSTE"), min_size=1), st.sampled_from(["{}: {}", "{}. {}", "{} {}", "{}){}"]))
def test_letters_after_numbers_are_decisions_too(letters: list[str], form: str) -> None:
    text = "\n".join(form.format(number, letter) for number, letter in enumerate(letters, 1))
    found = decisions_of(Stage.PRECISION, text)
    assert [each.label[0].upper() for each in found] == letters == [text[each.place] for each in found]
    assert {each.label for each in found} <= {use.value for use in SymbolUse}
    as_json = json.dumps({str(number): letter for number, letter in enumerate(letters, 1)})
    again = decisions_of(Stage.PRECISION, as_json)
    assert [(each.label, as_json[each.place]) for each in again] == [(e.label, text[e.place]) for e in found]


def test_the_classes_of_a_stage_differ_in_their_first_letter() -> None:
    """So the first token of a class decides; if this fails, a decision has to reach further into the word."""
    for classes in (Relevance, SymbolUse):
        assert len({each.value[0] for each in classes}) == len(classes)


def test_other_stages_have_no_decisions_but_names_of_their_json_are_forced() -> None:
    plan = '<think>\n{"a": 1}\n</think>\n\n{"rationale": "says \\"id\\": twice", "parts": [{"id": "p1"}]}'
    assert decisions_of(Stage.META_PLAN, plan) == []
    assert [plan[start:end] for start, end in forced_spans(Stage.META_PLAN, plan)] == [
        '"rationale":',
        '"parts":',
        '"id":',
    ]
    assert forced_spans(Stage.CODE, '{"a": 1}') == []


def test_reasoning_of_a_plan_is_its_trace_and_its_rationales_and_weighs_what_it_is_given() -> None:
    plan = '<think>\n{"rationale": "no"}\n</think>\n\n{"rationale": "says \\"id\\": twice", "parts": [{"id": "p1"}]}'
    spans = reasoning_spans(Stage.META_PLAN, plan)
    trace, rationale = (plan[start:end] for start, end in spans)
    assert trace == plan[: plan.index("</think>") + len("</think>")]
    assert rationale == 'says \\"id\\": twice'
    assert reasoning_spans(Stage.CODE, plan) == reasoning_spans(Stage.SCOPE, plan) == []
    offsets = [(place, place + 1) for place in range(len(plan))]
    tokens = answer_tokens(Stage.META_PLAN, plan, offsets, len(plan))
    weights = token_weights(tokens, 0.1, {}, 0.25)
    assert {plan[place] for place, weight in enumerate(weights) if weight == 0.25} == set(trace + rationale)
    assert weights.count(0.25) == len(trace) + len(rationale)
    assert weights[plan.index('"parts"')] == 0.1
    assert weights[plan.index("p1")] == 1.0
    assert token_weights(tokens, 1.0, {}) == [1.0] * len(plan)


@given(st.dictionaries(st.sampled_from("abc"), st.integers(1, 20_000), min_size=1), st.floats(1, 20))
def test_weights_of_classes_have_a_mean_of_one_and_their_cap(counts: dict[str, int], cap: float) -> None:
    for balance in ("none", "effective", "inverse"):
        weights = class_weights(counts, balance, 0.9999, cap)
        total = sum(counts[label] * weight for label, weight in weights.items())
        assert total == pytest.approx(sum(counts.values()))
        assert max(weights.values()) <= cap * min(weights.values()) * (1 + 1e-9)
        rarest = min(counts, key=lambda label: counts[label])
        assert weights[rarest] == max(weights.values())


def test_by_inverse_frequency_every_class_has_the_same_share_of_the_loss() -> None:
    weights = class_weights({"a": 10, "b": 40, "never": 0}, "inverse", 0.0, 8.0)
    assert 10 * weights["a"] == pytest.approx(40 * weights["b"]) and "never" not in weights


def test_a_character_outside_all_tokens_is_an_error() -> None:
    with pytest.raises(ValueError, match="no token holds character 5"):
        token_at([(0, 2), (2, 5)], 5)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return tiny_base(tmp_path_factory.mktemp("weights") / "base")


def a_recipe(**changes: Any) -> Recipe:
    settings = TrainingSettings(
        batch_size=4, epochs=1, max_tokens=512, learning_rate=2e-3, early_stopping="loss", answer_logits=False
    )
    plain = {"quantisation": "none", "precision": "fp32", "optimizer": "adamw_torch", "packing": False}
    plain |= {"gradient_checkpointing": "no", "micro_batch": 2}
    return recipe_for(TrainingTarget.SCOPE, "sft", settings).model_copy(update=plain | changes)


@pytest.mark.slow
def test_what_is_forced_weighs_little_and_a_rare_class_much(base: Base, tmp_path: Path) -> None:
    chat = ChatFormat.load(base.path)
    dataset = judged_dataset(tmp_path / "d", rows=12)
    rows = supervised_rows(dataset, chat, a_recipe(forced_weight=0.05)).train
    records = [json.loads(line) for line in (dataset / "sft.jsonl").read_text().splitlines()]
    rare: set[float] = set()
    for row, record in zip(rows, records, strict=True):
        assert row.weights is not None and len(row.weights) == len(row.ids)
        judged = json.loads(record["completion"][0]["content"])["files"]
        assert [label for _, label in row.decisions] == list(judged.values())
        learned = [index for index, label in enumerate(row.labels) if label != IGNORED]
        deciding = dict(row.decisions)
        assert all(row.weights[index] == 0.05 for index in learned if index not in deciding)
        for index, label in row.decisions:
            first = chat.tokenizer.decode([row.ids[index]]).strip(' "')
            assert first and label.startswith(first)
            if label == "relevant":
                rare.add(row.weights[index])
            else:
                assert row.weights[index] < 1
    assert len(rare) == 1 and rare.pop() > 1.5


def as_it_is(rows: list[TrainingRow], weights: float | None) -> list[TrainingRow]:
    return [row._replace(weights=None if weights is None else [weights] * len(row.ids)) for row in rows]


def trained(base: Base, folder: Path, recipe: Recipe, dataset: Path, weights: float | None) -> Fit:
    """A training of plain rows, with or without a column of equal weights."""
    folder.mkdir()
    chat = ChatFormat.load(base.path)
    rows = supervised_rows(dataset, chat, recipe)
    used = recipe.model_copy(update={"forced_weight": 1.0 if weights is None else 0.5})
    rows = rows._replace(train=as_it_is(rows.train, weights))
    return Fitting(base, folder, used, lambda progress: None, "trl-cpu", None, chat, rows, ()).run()


@pytest.mark.slow
@pytest.mark.parametrize("packing", [False, True])
def test_weights_of_one_are_plain_training_to_the_last_bit(base: Base, tmp_path: Path, packing: bool) -> None:
    dataset = judged_dataset(tmp_path / "d", rows=12, validation=4)
    recipe = a_recipe(packing=packing, forced_weight=1.0, class_balance="none")
    plain = trained(base, tmp_path / "plain", recipe, dataset, None)
    for weight in (1.0, 0.25):  # a weighted mean: 0.25, a power of two, scales both sums without rounding
        fit = trained(base, tmp_path / str(weight), recipe, dataset, weight)
        assert fit.losses == plain.losses and fit.eval_losses == plain.eval_losses
        for name in (CONFIG, WEIGHTS):
            assert (fit.adapter_dir / name).read_bytes() == (plain.adapter_dir / name).read_bytes()


@pytest.mark.slow
def test_plain_training_is_the_librarys_own_to_the_last_bit(base: Base, tmp_path: Path) -> None:
    """The same rows by a bare script of the trainers' library."""
    import torch
    from datasets import Dataset
    from transformers import set_seed
    from trl import SFTTrainer

    from training.fit.backends import add_adapter, load_base
    from training.fit.columns import columns
    from training.fit.data import training_order
    from training.fit.trainers import arguments

    dataset = judged_dataset(tmp_path / "d", rows=12)
    recipe = a_recipe(forced_weight=1.0, class_balance="none")
    fit = trained(base, tmp_path / "ours", recipe, dataset, 1.0)
    chat = ChatFormat.load(base.path)
    rows = supervised_rows(dataset, chat, recipe).train
    ordered = [rows[index] for index in training_order(rows, recipe)]
    set_seed(recipe.seed)
    options = arguments(recipe, "trl-cpu", tmp_path / "bare", 3, 2, False)
    trainer = SFTTrainer(
        model=add_adapter(load_base(base, recipe, "trl-cpu"), recipe, "trl-cpu"),
        args=options,
        train_dataset=Dataset.from_list(columns(ordered)),
        processing_class=chat.tokenizer,
    )
    trainer._get_train_sampler = lambda *_: torch.utils.data.SequentialSampler(trainer.train_dataset)
    trainer.train()
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    assert losses == fit.losses


@pytest.mark.slow
@pytest.mark.parametrize("method", ["sft", "dpo", "full"])
def test_logits_of_answers_alone_give_the_losses_of_all(base: Base, tmp_path: Path, method: Method) -> None:
    import torch

    dataset = judged_dataset(tmp_path / "d", rows=8, pairs=8)
    projected: dict[bool, list[int]] = {True: [], False: []}
    fits = {}
    for answers in (True, False):
        recipe = a_recipe(method=method, answer_logits=answers, epochs=1)
        folder = tmp_path / str(answers)
        folder.mkdir()
        chat = ChatFormat.load(base.path)
        rows = (preference_rows if method == "dpo" else supervised_rows)(dataset, chat, recipe)
        widths, multiply = projected[answers], torch.mm

        def counted(left: Any, *rest: Any, widths: Any = widths, multiply: Any = multiply, **named: Any) -> Any:
            widths.append(len(left))
            return multiply(left, *rest, **named)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch, "mm", counted)
            fits[answers] = Fitting(base, folder, recipe, lambda progress: None, "trl-cpu", None, chat, rows, ()).run()
    assert fits[True].losses == pytest.approx(fits[False].losses, rel=2e-3, abs=1e-4)
    assert 0 < sum(projected[True]) < sum(projected[False])


@pytest.mark.slow
def test_packing_keeps_each_weight_at_its_token(base: Base, tmp_path: Path) -> None:
    dataset = judged_dataset(tmp_path / "d", rows=8)
    recipe = a_recipe(batch_size=8, micro_batch=1)
    apart = fitted(base, tmp_path / "apart", recipe, dataset)
    together = fitted(
        base, tmp_path / "packed", recipe.model_copy(update={"packing": True, "max_tokens": 1024}), dataset
    )
    assert together.losses == pytest.approx(apart.losses, abs=1e-4) and len(apart.losses) == 1


def fitted(base: Base, folder: Path, recipe: Recipe, dataset: Path) -> Fit:
    folder.mkdir()
    chat = ChatFormat.load(base.path)
    rows = supervised_rows(dataset, chat, recipe)
    return Fitting(base, folder, recipe, lambda progress: None, "trl-cpu", None, chat, rows, ()).run()


@pytest.mark.slow
def test_a_weight_of_nothing_for_the_form_leaves_it_unlearned(base: Base, tmp_path: Path) -> None:
    """A step's loss is the decisions' alone: computed here from the model's own log-probabilities."""
    import torch

    from training.fit.backends import add_adapter, load_base

    dataset = judged_dataset(tmp_path / "d", rows=4)
    recipe = a_recipe(forced_weight=0.0, class_balance="inverse", class_cap=8.0)
    fit = fitted(base, tmp_path / "o", recipe, dataset)
    rows = supervised_rows(dataset, ChatFormat.load(base.path), recipe).train
    model = add_adapter(load_base(base, recipe, "trl-cpu"), recipe, "trl-cpu")
    loss = total = 0.0
    for row in rows:
        assert row.weights is not None
        with torch.no_grad():
            logs = model(input_ids=torch.tensor([row.ids])).logits[0].log_softmax(-1)
        for index, _ in row.decisions:
            loss -= row.weights[index] * float(logs[index - 1, row.ids[index]])
            total += row.weights[index]
    assert fit.losses[0] == pytest.approx(loss / total, rel=1e-4)


@pytest.mark.slow
def test_the_settings_reach_the_training_and_its_identity(base: Base, tmp_path: Path) -> None:
    dataset = judged_dataset(tmp_path / "d", rows=8)
    ids = {a_recipe(**changes).id for changes in ({}, {"forced_weight": 0.2}, {"class_balance": "inverse"})}
    assert len(ids) == 3
    losses = [
        fit_sft(dataset, base, tmp_path / str(weight), a_recipe(forced_weight=weight), lambda progress: None).losses
        for weight in (0.0, 1.0)
    ]
    assert losses[0] != losses[1]
