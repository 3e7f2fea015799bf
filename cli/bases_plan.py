"""`cra bases plan`: memory, time and cost of a training before it is started."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli.options import JsonOption
from cli.output import console, print_json, table
from host.settings import load_settings
from models.errors import TrainingError, UsageError
from models.targets import Role
from models.training_settings import TrainingSettings
from store.database import open_database
from training.bases.bases import Base, find_base, list_bases
from training.bases.files import read_json
from training.resources.cards import CPU, GIB, Card, find_card
from training.resources.planning import TIGHT, Plan, plan_training
from training.resources.rows import rows_of
from training.resources.setup import ANSWER_SHARE, Attention, PlanMethod, Rows, TrainingSetup, recipe_of, setup_of
from training.resources.shapes import KNOWN, Shape, known_shape, shape_of_config

if TYPE_CHECKING:
    from training.fit.recipe import TrainingBackend


def plan(
    role: Annotated[Role, typer.Argument(metavar="ROLE", help="reasoning or coding: whose base or adapter.")],
    base: Annotated[str, typer.Option("--base", metavar="NAME", help="A base, or a known shape such as qwen3-4b.")],
    gpu: Annotated[str | None, typer.Option("--gpu", metavar="NAME", help="A card such as rtx4090; or cpu.")] = None,
    memory: Annotated[float | None, typer.Option("--memory", metavar="GIB", help="Memory of another card.")] = None,
    method: Annotated[PlanMethod, typer.Option("--method", help="full, lora, qlora or dpo.")] = "full",
    dataset: Annotated[Path | None, typer.Option("--dataset", metavar="DIR", help="A curated dataset.")] = None,
    tokens: Annotated[int | None, typer.Option("--tokens", min=1, help="Without one: tokens of one pass.")] = None,
    longest: Annotated[int | None, typer.Option("--longest", min=16, help="Tokens of the longest row.")] = None,
    window: Annotated[
        int | None, typer.Option("--window", min=16, help="In place of training.max_tokens: longer rows are left out.")
    ] = None,
    price: Annotated[str | None, typer.Option("--price", metavar="X/h", help="Of an hour, as 0.35/h.")] = None,
    attention: Annotated[
        Literal["auto", "sdpa", "flash", "eager"],
        typer.Option("--attention", help="auto: flash where flash-attn is installed here, else sdpa."),
    ] = "auto",
    as_json: JsonOption = False,
) -> None:
    """Say what training a base takes: memory by part, micro-batch, tokens/s, hours, cost. Nothing is trained.

    Exits with 1 where it does not fit, and says what would.
    """
    card = find_card(gpu, memory)
    per_hour = _per_hour(price)
    settings = load_settings()
    found, shape = _shape(settings, base)
    chosen = settings.training.model_copy(update={"max_tokens": _window(shape, settings.training, window)})
    backend = _backend(settings.training, card, method)
    recipe = recipe_of(role, method, chosen, backend)
    rows = _rows(dataset, found, tokens, longest, method == "dpo", recipe.max_tokens)
    kernel: Attention = ("flash" if find_spec("flash_attn") else "sdpa") if attention == "auto" else attention
    setup = setup_of(shape, method, recipe, backend, rows, kernel)
    known = rows if rows.tokens > 0 else None
    done = plan_training(setup, card, known, per_hour, recipe.max_steps)
    unpacked = setup_of(shape, method, recipe.model_copy(update={"packing": False}), backend, rows, kernel)
    notes = [*_notes(done, rows, recipe.max_tokens), *(_unpacked(unpacked, card) if setup.packed else [])]
    if as_json:
        print_json(_shown(done, notes))
    else:
        _print(role, done, notes)


def _per_hour(price: str | None) -> float | None:
    if price is None:
        return None
    try:
        value = float(price.removesuffix("h").removesuffix("/"))
    except ValueError as error:
        raise UsageError(f"--price {price}: give what an hour costs, as 0.35/h") from error
    if not 0 <= value < float("inf"):
        raise UsageError(f"--price {price}: an hour costs 0 or more")
    return value


def _shape(settings: Any, name: str) -> tuple[Base | None, Shape]:
    """The base of that name and its shape; without such a base, the known shape."""
    curated = open_database(settings.curated_url, "curated")
    bases = list_bases(curated)
    if any(name == base.name or (len(name) >= 8 and base.id.startswith(name)) for base in bases):
        base = find_base(curated, name)
        return base, shape_of_config(base.name, read_json(base.path / "config.json"))
    shape = known_shape(name)
    if shape is None:
        there = ", ".join(base.name for base in bases) or "none"
        raise UsageError(f"--base {name} is no base (there are: {there}) and no known shape ({', '.join(KNOWN)})")
    return None, shape


def _window(shape: Shape, settings: TrainingSettings, window: int | None) -> int:
    """The longest row that is trained on. Raises UsageError if the base does not reach it."""
    if window is None:
        return min(settings.max_tokens, shape.window)
    if window > shape.window:
        raise UsageError(f"--window {window}: {shape.name} reaches {shape.window} tokens")
    return window


def _backend(settings: TrainingSettings, card: Card, method: PlanMethod) -> "TrainingBackend":
    """The back end that would train there; Unsloth only where the settings name it."""
    if card.name == CPU:
        if method == "qlora":
            raise UsageError("--method qlora needs a GPU: NF4 is not computed on a processor; use lora")
        return "trl-cpu"
    return "unsloth-gpu" if settings.backend == "unsloth-gpu" else "trl-gpu"


def _rows(
    dataset: Path | None, base: Base | None, tokens: int | None, longest: int | None, preferences: bool, limit: int
) -> Rows:
    """The data: counted in a dataset, or as given; of unknown size (tokens 0) without either."""
    if dataset is not None:
        if tokens is not None or longest is not None:
            raise UsageError("--dataset is counted; leave out --tokens and --longest")
        return rows_of(dataset.resolve(), base, preferences=preferences, limit=limit)
    size = min(longest or limit, limit)
    answer = max(1, round(size * ANSWER_SHARE))
    return Rows(tokens or 0, size, answer, max(1, (tokens or 0) // size), f"rows of {size:,} tokens, a tenth answer")


def _notes(plan: Plan, rows: Rows, limit: int) -> list[str]:
    setup = plan.setup
    notes = [f"data: {rows.measured}; rows over {limit:,} tokens are left out"]
    if setup.masked and setup.packed:
        notes.append(
            f"without flash-attn, packed rows need a mask of {setup.sequence:,} x {setup.sequence:,}; "
            "--attention flash shows what it saves"
        )
    if plan.memory.total > TIGHT * plan.card.memory:
        notes.append(
            f"the peak is {plan.memory.total / plan.card.memory:.0%} of the memory, and a display or another program "
            "takes some: the training halves its micro-batch where it does not fit"
        )
    if setup.method == "lora" and setup.on_gpu:
        notes.append("`cra train` quantises on a GPU (qlora); 16-bit LoRA is for comparison")
    if setup.on_gpu:
        notes.append("GPU figures come from arithmetic and from counts on a processor; none was measured on a GPU")
    return notes


def _unpacked(setup: TrainingSetup, card: Card) -> list[str]:
    """What the rows take each by itself, where packed ones are slow for want of a kernel."""
    if setup.attention == "flash":
        return []
    try:
        done = plan_training(setup, card, None, None, None)
    except TrainingError:
        return []
    rate = "" if done.tokens_per_second is None else f", about {done.tokens_per_second:,.0f} tokens/s"
    return [
        f"with training.packing = false: micro-batch {done.setup.micro_batch} x {setup.length:,} tokens, peak "
        f"{done.memory.total / GIB:.2f} GiB{rate}"
    ]


def _print(role: Role, plan: Plan, notes: list[str]) -> None:
    setup, memory = plan.setup, plan.memory
    rows = [(part.name, f"{part.bytes / GIB:.2f}", part.why) for part in memory.parts]
    rows.append(("peak", f"{memory.total / GIB:.2f}", f"of {plan.card.memory / GIB:.1f} GiB, at {memory.moment}"))
    title = f"{role}: {setup.method} of {setup.shape.name} on {plan.card.name}, {setup.backend}"
    table(title, ["part", "GiB", "what"], rows, right=["GiB"])
    halved = f" (training.micro_batch {plan.wanted} does not fit)" if setup.micro_batch < plan.wanted else ""
    console.print(
        f"micro-batch {setup.micro_batch} x {setup.length:,} tokens{halved}, {setup.accumulation} per step; "
        f"largest that fits: {plan.largest}",
        markup=False,
    )
    console.print(_time(plan), markup=False, soft_wrap=True)
    for note in notes:
        console.print(note, style="dim", markup=False, soft_wrap=True)


def _time(plan: Plan) -> str:
    if plan.tokens_per_second is None:
        return f"time: not predicted, the arithmetic of {plan.card.name} is not known"
    told = f"about {plan.tokens_per_second:,.0f} tokens/s"
    if plan.hours is None:
        return f"{told}; hours: give --dataset, or --tokens and --longest"
    epochs = plan.setup.epochs
    told += f", {plan.steps:,} steps of up to {epochs} epochs in {plan.hours:.1f} h"
    return told if plan.cost is None else f"{told}, cost {plan.cost:.2f}"


def _shown(plan: Plan, notes: list[str]) -> dict[str, Any]:
    setup = plan.setup
    return {
        "base": setup.shape._asdict() | {"parameters": setup.shape.parameters},
        "method": setup.method,
        "backend": setup.backend,
        "card": plan.card._asdict(),
        "parts": {part.name: part.bytes for part in plan.memory.parts},
        "peak": plan.memory.total,
        "moment": plan.memory.moment,
        "micro_batch": setup.micro_batch,
        "largest_micro_batch": plan.largest,
        "length": setup.length,
        "accumulation": setup.accumulation,
        "tokens_per_second": plan.tokens_per_second,
        "steps": plan.steps,
        "hours": plan.hours,
        "cost": plan.cost,
        "notes": notes,
    }
