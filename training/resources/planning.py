"""The plan of a training on an accelerator: the micro-batch that fits, time, cost; or what would make it fit."""

from itertools import combinations
from typing import Any, NamedTuple

from models.errors import TrainingError
from training.resources.cards import CARDS, CPU, GIB, Card
from training.resources.memory import Memory, memory_of
from training.resources.setup import Rows, TrainingSetup
from training.resources.shapes import KNOWN
from training.resources.speed import tokens_per_second

TIGHT = 0.9
"""Share of an accelerator above which a plan may not hold: what other programs and a display take is not counted."""
_STEP = 256
"""Tokens by which a shorter row is sought."""


class Plan(NamedTuple):
    """A training that fits: as it would run, its memory, the largest micro-batch that fits, and (None: not known)
    tokens per second, steps, hours, cost."""

    setup: TrainingSetup
    card: Card
    memory: Memory
    wanted: int
    largest: int
    tokens_per_second: float | None
    steps: int | None
    hours: float | None
    cost: float | None


def plan_training(setup: TrainingSetup, card: Card, rows: Rows | None, price: float | None, most: int | None) -> Plan:
    """The plan on a card. `rows`: the data, None: unknown; `price` per hour; `most` steps.

    A micro-batch that does not fit is halved, as the training itself does. Raises TrainingError, with what would fit,
    where not even one row does.
    """
    used = setup
    while not fits(used, card):
        if used.micro_batch == 1:
            raise TrainingError(_refusal(used, card))
        used = used.but(micro_batch=used.micro_batch // 2)
    rate = tokens_per_second(used, card)
    steps = hours = None
    if rows is not None:
        per_step = used.accumulation * used.micro_batch * used.rows_each
        steps = max(1, -(-round(rows.count * used.epochs) // max(1, round(per_step))))
        share = min(1.0, (most or steps) / steps)
        steps = min(steps, most or steps)
        trained = rows.tokens * used.epochs * share
        hours = trained / rate / 3600 if rate else None
    cost = hours * price if hours is not None and price is not None else None
    return Plan(used, card, memory_of(used), setup.micro_batch, _largest(used, card), rate, steps, hours, cost)


def fits(setup: TrainingSetup, card: Card) -> bool:
    """Whether a training's memory is no more than a card's."""
    return memory_of(setup).total <= card.memory


def _largest(setup: TrainingSetup, card: Card) -> int:
    """The largest micro-batch that fits, a power of two, at most a whole step."""
    size = setup.micro_batch
    while size * 2 <= setup.batch and fits(setup.but(micro_batch=size * 2), card):
        size *= 2
    return size


def _refusal(setup: TrainingSetup, card: Card) -> str:
    needs = memory_of(setup)
    largest = max(needs.parts, key=lambda part: part.bytes)
    told = (
        f"{setup.shape.name} {setup.method} needs {needs.total / GIB:.1f} GiB of {card.name}'s {card.memory / GIB:.1f} "
        f"with one entry of {setup.length} tokens in memory (most: {largest.name}, {largest.bytes / GIB:.1f} GiB)"
    )
    found = remedies(setup, card)
    return f"{told}; what would fit: {'; '.join(found)}" if found else f"{told}; nothing known would fit"


def remedies(setup: TrainingSetup, card: Card) -> list[str]:
    """What would make a training fit, each found by trying: settings that cost little, the fewest of them that do;
    shorter rows; another method; another card."""
    found = []
    free = _free_changes(setup)
    for count in range(1, len(free) + 1):
        sets = [each for each in combinations(free, count) if fits(setup.but(**_merged(each)), card)]
        if sets:
            found += [" and ".join(words for words, _ in each) for each in sets]
            break
    cheapest = setup.but(**_merged(free))
    length = _length_that_fits(setup, card)
    if length:
        found.append(f"rows of at most {length} tokens (--window {length}, training.max_tokens)")
    for words, changed in _other_methods(cheapest if not found else setup):
        if fits(changed, card):
            found.append(words)
            break
        shorter = _length_that_fits(changed, card)
        if shorter:
            found.append(f"{words} with --window {shorter}")
            break
    if smaller := _smaller_base(setup, card):
        found.append(f"--base {smaller}")
    other = next((each for each in CARDS.values() if each.memory > card.memory and fits(setup, each)), None)
    if card.name == CPU:
        found.append(f"--memory {memory_of(setup).total / GIB:.0f}")
    elif other is not None:
        found.append(f"--gpu {other.name} ({other.memory / GIB:.0f} GiB)")
    return found


def _free_changes(setup: TrainingSetup) -> list[tuple[str, dict[str, Any]]]:
    """Changes that cost little: (what to do, what changes)."""
    changes: list[tuple[str, dict[str, Any]]] = []
    if not setup.checkpointing:
        changes.append(("gradient checkpointing", {"checkpointing": True}))
    if setup.scored != "answers":
        changes.append(("logits of answers only (training.answer_logits)", {"scored": "answers"}))
    if setup.attention != "flash" and setup.on_gpu:
        changes.append(("flash attention (install flash-attn)", {"attention": "flash"}))
    return changes


def _merged(changes: Any) -> dict[str, Any]:
    return {name: value for _, change in changes for name, value in change.items()}


def _length_that_fits(setup: TrainingSetup, card: Card) -> int:
    """The most tokens of an entry that fit, in steps; 0: none do."""
    share = setup.answer / setup.length
    low, high = 0, -(-setup.length // _STEP)
    while low < high - 1:
        middle = (low + high) // 2
        length = middle * _STEP
        shorter = setup.but(
            length=length, answer=max(1, round(share * length)), row_tokens=min(setup.row_tokens, length)
        )
        low, high = (middle, high) if fits(shorter, card) else (low, middle)
    return low * _STEP


def _other_methods(setup: TrainingSetup) -> list[tuple[str, TrainingSetup]]:
    """Methods that take less memory, those that change least first, as a user gives them. On a GPU an adapter is
    trained on a quantised base."""
    adapter = setup.but(method="lora", adapter_bytes=4, weight_bytes=2 if setup.on_gpu else 4)
    if not setup.on_gpu:
        return [("--method lora", adapter)] if setup.full else []
    if setup.method not in ("full", "lora"):
        return []
    quantised = setup.but(method="qlora", quantised=True, adapter_bytes=2, weight_bytes=2)
    halves = setup.but(weight_bytes=2)
    kept = [("training.full_masters = bf16 (CRA_TRAINING__FULL_MASTERS=bf16)", halves)]
    return [*(kept if setup.full and setup.weight_bytes == 4 else []), ("--method qlora", quantised)]


def _smaller_base(setup: TrainingSetup, card: Card) -> str | None:
    """The largest known base of the same family that fits by the same method; None if none does."""
    family = setup.shape.name.rpartition("-")[0]
    smaller = [each for each in KNOWN.values() if each.name.rpartition("-")[0] == family]
    fitting = [
        each
        for each in smaller
        if each.parameters < setup.shape.parameters and fits(setup.but(shape=each, micro_batch=1), card)
    ]
    return max(fitting, key=lambda each: each.parameters).name if fitting else None
