"""A base that was tuned elsewhere differs from ours in its weights alone."""

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
from safetensors.torch import load_file, save_file

from exchange.outsource.agreement import LOSS_BOUND
from exchange.outsource.probes import losses_of, open_trained, probe_rows
from models.errors import RegistryError, TrainingError
from models.training import TrainingTarget
from models.training_settings import TrainingSettings
from tests.support.fitting_data import tiny_base, write_dataset
from tests.support.tiny import make_adapter, make_tiny_base
from training.adapters.registry.weights import header
from training.bases.bases import Base
from training.fit.recipe import recipe_for
from training.fit.returned import INDEX, check_returned_base, require_same_gguf, write_gguf

pytestmark = pytest.mark.slow

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return tiny_base(tmp_path_factory.mktemp("base"))


@pytest.fixture
def tuned(base: Base, tmp_path: Path) -> Path:
    folder = Path(shutil.copytree(base.path, tmp_path / "tuned"))
    write(folder, 0.25)
    edit(folder / "config.json", use_cache=False, dtype="float32")
    return folder


def write(folder: Path, value: float) -> None:
    """Set one weight."""
    start = next(iter(header(folder / WEIGHTS).values())).start
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[:start] + struct.pack("<f", value) + content[start + 4 :])


def edit(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_other_weights_are_accepted(base: Base, tuned: Path) -> None:
    check_returned_base(tuned, base)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: write(folder, float("nan")), "NaN"),
        (lambda folder: write(folder, float("inf")), "infinite"),
        (lambda folder: (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-4]), "truncated"),
        (lambda folder: edit(folder / "config.json", max_position_embeddings=128), "max_position_embeddings"),
        (lambda folder: edit(folder / "config.json", auto_map={"AutoModel": "code.Model"}), "auto_map"),
        (lambda folder: edit(folder / "config.json", dtype="os.system"), "dtype"),
        (lambda folder: (folder / "config.json").write_text("[]"), "config.json"),
        (lambda folder: (folder / "config.json").write_text("[" * 100_000), "recursion"),
        (lambda folder: (folder / INDEX).write_text("[" * 100_000), "recursion"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "tokenizer.json"),
        (lambda folder: (folder / "chat_template.jinja").write_text("{{ x }}"), "chat_template.jinja"),
        (lambda folder: (folder / INDEX).write_text('{"weight_map": {"a": "../../etc"}}'), INDEX),
        (lambda folder: shutil.copy(folder / WEIGHTS, folder / "model-00002-of-00002.safetensors"), "as well"),
    ],
)
def test_anything_else_is_refused(base: Base, tuned: Path, change: Callable[[Path], object], said: str) -> None:
    change(tuned)
    with pytest.raises(RegistryError) as refused:
        check_returned_base(tuned, base)
    assert said in str(refused.value)


def test_a_base_of_other_shapes_or_as_it_was_is_refused(base: Base, tuned: Path, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="nothing was trained"):
        check_returned_base(base.path, base)
    smaller = make_tiny_base(tmp_path / "smaller", hidden=32)
    shutil.copy(smaller / WEIGHTS, tuned / WEIGHTS)
    with pytest.raises(RegistryError, match="shape"):
        check_returned_base(tuned, base)


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("given", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_the_same_weights_in_another_type_are_not_trained(
    base: Base, tuned: Path, tmp_path: Path, stored: torch.dtype, given: torch.dtype
) -> None:
    own = Path(shutil.copytree(base.path, tmp_path / "own"))
    weights = {name: tensor.to(stored) for name, tensor in load_file(base.path / WEIGHTS).items()}
    save_file(weights, own / WEIGHTS, {"format": "pt"})
    here = base._replace(path=own)
    save_file({name: tensor.to(given) for name, tensor in weights.items()}, tuned / WEIGHTS, {"format": "pt"})
    with pytest.raises(RegistryError, match="F64" if given is torch.float64 else "nothing was trained"):
        check_returned_base(tuned, here)
    name = min(weights)
    weights[name] = weights[name] + 0.5
    save_file({name: tensor.to(given) for name, tensor in weights.items()}, tuned / WEIGHTS, {"format": "pt"})
    if given is not torch.float64:
        check_returned_base(tuned, here)


def test_gguf_files_of_the_same_weights_are_the_same(base: Base, tuned: Path, tmp_path: Path) -> None:
    made = [write_gguf(base.path, tuned, tmp_path / f"{number}.gguf", adapter=False) for number in range(2)]
    require_same_gguf(*made)
    write(tuned, 0.5)
    other = write_gguf(base.path, tuned, tmp_path / "other.gguf", adapter=False)
    with pytest.raises(TrainingError, match="GGUF"):
        require_same_gguf(made[0], other)


def test_preferences_are_probed_by_the_chosen_answer(base: Base, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "data", rows=2, pairs=20)
    recipe = recipe_for(TrainingTarget.CODE, "dpo", TrainingSettings())
    rows = probe_rows(dataset, base.path, recipe)
    assert len(rows) == 16
    adapter = make_adapter(base.path, tmp_path / "adapter")
    first, again = (losses_of(open_trained(base.path, adapter, adapter=True), rows[:3]) for _ in range(2))
    plain = losses_of(open_trained(base.path, base.path, adapter=False), rows[:3])
    assert first == again
    assert all(abs(one.loss - other.loss) > LOSS_BOUND for one, other in zip(first, plain, strict=True))
