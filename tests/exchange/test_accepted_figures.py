"""What is on record and signed of a training elsewhere was computed here, whatever came back with the weights."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")

from exchange.outsource import layout
from exchange.outsource.accepting import accept
from exchange.outsource.agreement import draw, may_differ, scores_differ
from exchange.outsource.content import fitted_here
from exchange.outsource.layout import ReturnManifest, entries_of, read_manifest, spelled
from exchange.outsource.probes import open_trained
from exchange.outsource.questions import SentQuestion
from exchange.outsource.work import work
from models.class_bias import ClassBias
from models.errors import UsageError
from models.protocols import Stage
from store.learning.trainings import find_training
from tests.support.fitting_data import lettered_dataset
from tests.support.outsource_material import Home, make_home
from tests.support.tiny import make_adapter
from training.adapters.registry.statement import read_statement
from training.bases.chat_format import ChatFormat
from training.fit.class_bias import bias_after
from training.fit.data import supervised_rows
from training.fit.result import Fit

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("exchange.outsource.questions.ANSWER_TOKENS", dict.fromkeys(Stage, 16))
        yield make_home(tmp_path_factory.mktemp("home"))


def seal(folder: Path) -> None:
    """Write the manifest of a folder anew, as somebody would who can compute hashes."""
    old = read_manifest((folder / layout.RETURNED).read_bytes(), ReturnManifest, "")
    found = {name: each for name, each in entries_of(folder).items() if name != layout.RETURNED}
    (folder / layout.RETURNED).write_text(spelled(ReturnManifest(pack=old.pack, files=found).sealed()))


def forge(folder: Path, **figures: object) -> None:
    """Change figures of a returned training."""
    file = folder / layout.FIT
    file.write_text(json.dumps(json.loads(file.read_text()) | figures))
    seal(folder)


def returned(home: Home, folder: Path) -> Path:
    """A folder that came back, with weights that another trainer made."""
    packed = home.pack(folder / "pack", format="llamafactory").folder
    work(packed, packed / "base", make_adapter(home.base.path, folder / "trained", seed=3))
    return packed / "returned"


def test_a_sample_is_drawn_anew_and_compared_by_question(home: Home, tmp_path: Path) -> None:
    rows = [SentQuestion(id=f"{number:04}", messages=(), tokens=1, letters=False) for number in range(200)]
    draws = {tuple(each.id for each in draw(rows, 1)) for _ in range(20)}
    assert {len(draw) for draw in draws} == {8}
    assert len(draws) > 1
    assert draw(rows[:5], 8) == rows[:5]
    assert [may_differ(count) for count in (1, 3, 8, 16)] == [0, 0, 1, 2]
    assert scores_differ({"f1": 1.0}, {"f1": 0.0})
    assert not scores_differ({"f1": 1.0}, {"f1": 0.95})
    assert scores_differ({"f1": 1.0}, {})


def test_no_figure_of_the_folder_decides(home: Home, tmp_path: Path) -> None:
    folder = returned(home, tmp_path)
    planted = ClassBias(offsets={"relevant": 4.0}, tokens={"relevant": (7,)}, decisions=9, macro_f1_with=1.0)
    figures = {"losses": [0.001], "steps": 2, "eval_losses": [[2, 0.001]], "seconds": 1.0}
    forge(folder, class_bias=planted.model_dump(mode="json"), **figures)
    done = accept(home.context, folder)
    version = home.context.registry.verify(done.name)
    recipe = home.pack(tmp_path / "again", format="llamafactory").manifest.recipe
    chat = ChatFormat.load(home.base.path, recipe.thinking)
    fitted = bias_after(None, supervised_rows(home.dataset, chat, recipe), chat)  # too few rows for offsets
    assert fitted is not None
    assert not fitted.active
    assert version.class_bias == fitted
    assert read_statement(version.path).predicate.config["class_bias"] == fitted.model_dump(mode="json")
    assert version.metrics.keys() == {"class_bias", "elsewhere", "stated_elsewhere"}
    assert version.metrics["stated_elsewhere"]["loss"] == 0.001
    assert "steps" not in read_statement(version.path).predicate.config
    kept = find_training(home.context.raw_engine, done.job)
    assert kept is not None
    assert kept.metrics.keys() == {"class_bias", "stated_elsewhere"}


def test_the_class_bias_is_fitted_here_to_the_weights_that_came_back(home: Home, tmp_path: Path) -> None:
    """On a dataset that is answered in letters, with rows enough for offsets: those of the base and of an adapter
    differ, and the one that the other machine states is not taken."""
    manifest = home.pack(tmp_path / "pack", format="llamafactory").manifest
    pack = manifest.model_copy(update={"recipe": manifest.recipe.model_copy(update={"validation_rows": 64})})
    dataset = lettered_dataset(tmp_path / "lettered", validation=40)
    planted = ClassBias(offsets={"relevant": 4.0}, tokens={"relevant": (7,)}, decisions=9, macro_f1_with=1.0)
    found = []
    for seed in (3, 4):
        trained = make_adapter(home.base.path, tmp_path / f"trained-{seed}", seed=seed)
        stated = Fit(
            adapter_dir=trained, backend="trl-cpu", steps=2, best_step=2, tokens=1, seconds=1.0, rows=1, too_long=0,
            micro_batch=1, losses=[], eval_losses=[], overrides=(), class_bias=planted,
        )  # fmt: skip
        bias = fitted_here(pack, home.base, stated, dataset).class_bias
        assert bias is not None and bias.decisions == 40 * 6 and bias.macro_f1_across is not None
        assert set(bias.tokens) == {"relevant", "supporting", "irrelevant"}
        chat = ChatFormat.load(home.base.path, pack.recipe.thinking)
        rows = supervised_rows(dataset, chat, pack.recipe)
        assert bias == bias_after(open_trained(home.base.path, trained, adapter=True), rows, chat)
        found.append(bias)
    assert found[0].macro_f1_without != found[1].macro_f1_without


def test_weights_that_were_altered_after_they_were_kept_are_not_registered(home: Home, tmp_path: Path) -> None:
    folder = returned(home, tmp_path)
    done = accept(home.context, folder)
    kept = find_training(home.context.raw_engine, done.job)
    assert kept is not None
    weights = kept.path / "adapter_model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    before = [version.id for version in home.context.registry.list()]
    with pytest.raises(UsageError, match="altered"):
        accept(home.context, folder)
    assert [version.id for version in home.context.registry.list()] == before
    weights.write_bytes(content)
    assert accept(home.context, folder).id == done.id
