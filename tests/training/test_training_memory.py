"""The arithmetic of a training's memory: against values computed by hand, and against what must hold of any."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import TrainingError, UsageError
from models.training_settings import TrainingSettings
from tests.support.fitting_data import tiny_base, write_dataset
from tests.support.resource_setups import rows, setup
from training.bases.chat_format import ChatFormat
from training.fit.data import supervised_rows
from training.resources.cards import CARDS, GIB, find_card
from training.resources.memory import ADAM_8BIT, CUDA_CONTEXT, NF4, memory_of
from training.resources.planning import fits, plan_training, remedies
from training.resources.rows import rows_of
from training.resources.setup import METHODS, TrainingSetup, recipe_of
from training.resources.shapes import KNOWN, known_shape, shape_of_config
from training.resources.speed import tokens_per_second, work_of

PUBLISHED = {  # billions of parameters, as the authors state them; Qwen3-4B also 3.6 without the embedding
    "qwen3-0.6b": 0.6,
    "qwen3-1.7b": 1.7,
    "qwen3-4b": 4.0,
    "qwen3-8b": 8.2,
    "qwen2.5-coder-0.5b": 0.49,
    "qwen2.5-coder-1.5b": 1.54,
    "qwen2.5-coder-3b": 3.09,
    "qwen2.5-coder-7b": 7.61,
    "llama-3.2-1b": 1.24,
    "llama-3.2-3b": 3.21,
    "smollm2-135m": 0.135,
    "smollm2-360m": 0.362,
    "smollm2-1.7b": 1.71,
}
PARTS_4B = {  # of qwen3-4b, QLoRA of rank 16, one row of 2,048 tokens, sixteen per step
    # 36 layers of 2560 x 4096 twice, 2560 x 1024 twice, 2560 x 9728 thrice, at 4.127 bits
    "weights, NF4": int(36 * (2 * 2560 * 4096 + 2 * 2560 * 1024 + 3 * 2560 * 9728) * (0.5 + 1 / 64 + 4 / 16384)),
    # 151,936 x 2560 once; per layer two norms of 2560 and two of 128; the last norm
    "weights, bf16": 2 * (151_936 * 2560 + 36 * (2 * 2560 + 2 * 128) + 2560),
    # 16 x the sum of both sides of the seven matrices
    "adapter": 2 * 36 * 16 * (2 * 6656 + 2 * 3584 + 3 * 12288),
    "optimizer": int(33_030_144 * 2 * (1 + 4 / 256)),
    "gradients": 2 * 33_030_144,
    # inputs of 36 layers in bf16; the last norm's fp32 copy and its output
    "activations": 2048 * 2560 * (36 * 2 + 4 + 2),
    "CUDA context": int(0.6 * GIB),
}


def test_parts_are_those_computed_by_hand() -> None:
    found = memory_of(setup())
    parts = {part.name: part.bytes for part in found.parts}
    assert {name: parts[name] for name in PARTS_4B} == PARTS_4B
    # what one layer keeps per token: norms, inputs, attention, MLP, adapter; then gradients, and a matrix in bf16
    norms = 2 * (4 * 2560 + 4) + 4 * (4096 + 1024) + 4 * (32 + 8)
    kept = norms + 2 * 2 * 2560 + 2 * 2 * 4096 + 2 * 2 * 1024 + 4 * 32 + 4 * 2 * 9728 + 7 * 16 * 2
    gradients = 2 * 2 * 9728 + 2 * 2 * 2560
    assert parts["one layer"] == 2048 * (kept + gradients) + 2 * 2560 * 9728
    assert parts["fragmentation"] == int(0.1 * (parts["activations"] + parts["one layer"]))
    assert found.total == sum(parts.values()) and found.moment == "the backward pass of the last layer"


def test_a_full_fine_tune_holds_weights_gradients_and_two_states_of_all_parameters() -> None:
    count = KNOWN["qwen2.5-coder-3b"].parameters
    parts = {part.name: part.bytes for part in memory_of(setup("qwen2.5-coder-3b", "full")).parts}
    assert (parts["weights, fp32"], parts["gradients"]) == (4 * count, 4 * count)  # full-precision masters
    assert parts["optimizer"] == int(count * ADAM_8BIT)
    on_cpu = {part.name: part.bytes for part in memory_of(setup("smollm2-135m", "full", gpu=False)).parts}
    assert on_cpu["optimizer"] == 2 * on_cpu["weights, fp32"] == 8 * 134_515_008


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_a_known_shape_has_the_parameters_that_its_authors_state(name: str) -> None:
    assert KNOWN[name].parameters / 1e9 == pytest.approx(PUBLISHED[name], rel=0.015)


def test_names_of_hubs_mean_the_same_shapes() -> None:
    assert known_shape("Qwen/Qwen2.5-Coder-3B-Instruct") == KNOWN["qwen2.5-coder-3b"]
    assert known_shape("Qwen3-4B-Base") == KNOWN["qwen3-4b"] and known_shape("gpt-2") is None


def test_four_bits_and_constants_are_4_127_bits() -> None:
    assert pytest.approx(4.127, abs=0.0005) == 8 * NF4


SETUPS = st.builds(
    setup,
    shape=st.sampled_from(sorted(KNOWN)),
    method=st.sampled_from(METHODS),
    longest=st.integers(16, 8192),
    settings=st.fixed_dictionaries({"micro_batch": st.sampled_from((1, 2, 4)), "packing": st.booleans()}),
    attention=st.sampled_from(("sdpa", "flash", "eager")),
    checkpointing=st.booleans(),
)
ON_CPU = st.builds(
    setup,
    shape=st.sampled_from(sorted(KNOWN)),
    method=st.sampled_from(("full", "lora", "dpo")),
    longest=st.integers(16, 4096),
    gpu=st.just(False),
    settings=st.fixed_dictionaries({"cpu_bf16": st.booleans(), "answer_logits": st.booleans()}),
)


def _total(training: TrainingSetup, **changes: object) -> int:
    return memory_of(training.but(**changes)).total


@given(SETUPS | ON_CPU)
def test_more_never_needs_less(training: TrainingSetup) -> None:
    now = _total(training)
    longer = {"length": training.length + 64, "row_tokens": training.row_tokens + 64}  # as many rows to a sequence
    assert _total(training, **longer) >= now
    assert _total(training, answer=min(training.length, training.answer * 2)) >= now
    assert _total(training, batch=training.batch * 4) >= now
    assert _total(training, rank=training.rank * 2) >= now
    assert _total(training, micro_batch=training.micro_batch * 2, batch=training.batch * 2) >= now
    assert _total(training, optimizer="adamw_torch") >= now or training.optimizer == "adamw_torch"


@given(SETUPS | ON_CPU)
def test_what_saves_memory_never_takes_more(training: TrainingSetup) -> None:
    assert _total(training, checkpointing=True) <= _total(training, checkpointing=False)
    assert _total(training, attention="flash") <= _total(training, attention="sdpa")
    assert _total(training, attention="sdpa", packed=False) <= _total(training, attention="eager", packed=False)
    assert _total(training, scored="answers") <= _total(training, scored="all")
    assert _total(training, optimizer="paged_adamw_8bit") <= _total(training, optimizer="adamw_8bit")


@given(SETUPS)
def test_parts_are_positive_and_work_is_finite(training: TrainingSetup) -> None:
    memory, work = memory_of(training), work_of(training)
    assert all(part.bytes > 0 for part in memory.parts) and memory.total > CUDA_CONTEXT
    assert 0 < work.tokens <= training.tokens and work.flops > 0 and work.traffic > 0


def test_attention_grows_with_the_square_only_where_there_are_scores_or_a_mask() -> None:
    def added(length: int, **changes: object) -> int:
        return _total(setup(longest=length, settings={"batch_size": 64}), checkpointing=False, **changes)

    def bend(**changes: object) -> int:
        return added(4096, **changes) - 2 * added(3072, **changes) + added(2048, **changes)

    assert abs(bend()) < 100 and abs(bend(attention="flash")) < 100
    masked = 2 * 1024**2 * 36 * 2 * 4  # per layer: rows x length squared x 2 bytes, of two rows
    assert bend(micro_batch=2) >= masked // 2
    assert bend(attention="eager") > 1024**2 * 32 * 6 * 36


def test_work_per_token_is_six_four_or_two_times_the_weights() -> None:
    shape = KNOWN["qwen3-4b"]
    full = work_of(setup(method="full", checkpointing=False))
    frozen = work_of(setup(method="lora", checkpointing=False))
    again = work_of(setup(method="lora"))
    assert full.flops / full.tokens == pytest.approx(6 * shape.linear, rel=0.16)
    assert frozen.flops / frozen.tokens == pytest.approx(4 * shape.linear, rel=0.16)
    assert again.flops / again.tokens == pytest.approx(6 * shape.linear, rel=0.16)


def test_rows_of_a_dataset_are_those_that_a_training_has(tmp_path: Path) -> None:
    base, dataset = tiny_base(tmp_path / "tiny"), write_dataset(tmp_path / "scope-x", rows=6, validation=2, pairs=3)
    recipe = recipe_of("reasoning", "lora", TrainingSettings(), "trl-cpu")
    trained = supervised_rows(dataset, ChatFormat.load(base.path), recipe).train
    counted = rows_of(dataset, base, preferences=False, limit=8192)
    assert (counted.count, counted.tokens) == (6, sum(len(row.ids) for row in trained))
    assert counted.longest == max(len(row.ids) for row in trained)
    assert counted.answer == max(sum(label >= 0 for label in row.labels) for row in trained)
    assert rows_of(dataset, base, preferences=True, limit=8192).count == 3
    assert rows_of(dataset, None, preferences=False, limit=8192).count == 6
    with pytest.raises(TrainingError, match="--window"):
        rows_of(dataset, base, preferences=False, limit=4)


def test_a_faster_card_is_faster_and_an_unknown_one_has_no_time() -> None:
    rates = {name: tokens_per_second(setup(), CARDS[name]) for name in ("rtx3090", "rtx4090", "h100")}
    assert 0 < (rates["rtx3090"] or 0) < (rates["rtx4090"] or 0) < (rates["h100"] or 0)
    assert tokens_per_second(setup(), find_card(None, 24)) is None


def test_a_micro_batch_that_does_not_fit_is_halved_as_the_training_halves_it() -> None:
    training = setup(settings={"micro_batch": 16})
    card = find_card(None, memory_of(training.but(micro_batch=4)).total / GIB + 0.1)
    plan = plan_training(training, card, rows(2048, 160), 0.5, None)
    assert (plan.setup.micro_batch, plan.wanted, plan.largest) == (4, 16, 4)
    assert plan.setup.accumulation == 4 and plan.steps == 30 and plan.hours is None
    assert not fits(training.but(micro_batch=8), card)


def test_time_and_cost_follow_from_tokens() -> None:
    card = find_card("rtx4090", None)
    plan = plan_training(setup(), card, rows(2048, 3200), 0.5, None)
    assert plan.tokens_per_second and plan.hours and plan.cost
    assert plan.hours == pytest.approx(3 * 3200 * 2048 / plan.tokens_per_second / 3600)
    assert plan.cost == pytest.approx(plan.hours / 2) and plan.steps == 600
    short = plan_training(setup(), card, rows(2048, 3200), 0.5, 60)
    assert short.steps == 60 and short.hours == pytest.approx(plan.hours / 10)


def test_what_does_not_fit_is_refused_and_every_remedy_fits() -> None:
    training, card = setup(method="full"), find_card("rtx4080", None)
    with pytest.raises(TrainingError) as refused:
        plan_training(training, card, None, None, None)
    said = str(refused.value)
    assert "\n" not in said and "GiB" in said and "--method qlora" in said and "--gpu h100" in said
    assert "--method lora" not in said, "an adapter is trained on a quantised base"
    assert fits(training.but(method="qlora", quantised=True, adapter_bytes=2, weight_bytes=2), card)
    assert "--base qwen3-0.6b" in said
    smaller, larger = (training.but(shape=KNOWN[name], micro_batch=1) for name in ("qwen3-0.6b", "qwen3-1.7b"))
    assert fits(smaller, card) and not fits(larger, card)
    assert fits(training, CARDS["h100"]) and not fits(training, CARDS["rtx5090"])


def test_shorter_rows_are_the_longest_that_fit() -> None:
    training, card = setup(longest=32768, method="lora"), find_card("rtx4080", None)
    found = next(words for words in remedies(training, card) if words.startswith("rows of at most"))
    length = int(found.split()[4])
    assert fits(training.but(length=length, answer=length // 10, row_tokens=length), card)
    longer = length + 256
    assert not fits(training.but(length=longer, answer=longer // 10, row_tokens=longer), card)


@pytest.mark.parametrize(
    ("name", "memory", "told"),
    [
        (None, 0, "--memory 0"),
        (None, -4, "--memory -4"),
        (None, float("nan"), "--memory nan"),
        ("rtx9999", None, "rtx4090"),
        (None, None, "--gpu"),
        ("cpu", None, "--memory"),
    ],
)
def test_a_card_that_is_not_one_is_named(name: str | None, memory: float | None, told: str) -> None:
    with pytest.raises(UsageError) as refused:
        find_card(name, memory)
    assert told in str(refused.value)


def test_a_configuration_without_its_dimensions_is_named() -> None:
    good = {
        "model_type": "llama",
        "num_hidden_layers": 2,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_attention_heads": 4,
        "vocab_size": 100,
        "max_position_embeddings": 256,
    }
    shape = shape_of_config("mine", good)
    assert (shape.kv_heads, shape.head_size, shape.tied) == (4, 16, False)
    for change in ({"model_type": "gpt2"}, {"num_hidden_layers": 0}, {"hidden_size": None}, {"vocab_size": "many"}):
        with pytest.raises(UsageError, match=next(iter(change))):
            shape_of_config("mine", good | change)
