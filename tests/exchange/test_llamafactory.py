"""A pack's data and recipe in LLaMA-Factory's form, by the documentation of that form; what its trainer saves comes
back by the same door."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from pydantic import BaseModel, ConfigDict

pytest.importorskip("torch")

from exchange.outsource.accepting import accept
from exchange.outsource.llamafactory import write_llamafactory
from exchange.outsource.work import work
from models.errors import UsageError
from models.protocols import Stage
from models.training import TrainingTarget
from models.training_settings import TrainingSettings
from tests.support.fitting_data import write_dataset
from tests.support.outsource_material import Home, make_home
from tests.support.tiny import make_adapter
from training.fit.recipe import LINEAR_LAYERS, Method, recipe_for

pytestmark = pytest.mark.slow


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Columns(Strict):
    messages: str
    chosen: str | None = None
    rejected: str | None = None


class Tags(Strict):
    role_tag: str
    content_tag: str
    user_tag: str
    assistant_tag: str
    observation_tag: str
    function_tag: str
    system_tag: str


class Description(Strict):
    """An entry of dataset_info.json, as its documentation names the fields."""

    file_name: str
    formatting: Literal["sharegpt"]
    columns: Columns
    tags: Tags
    ranking: bool = False


def written(folder: Path, method: Method, **settings: Any) -> tuple[dict[str, Description], dict[str, Any]]:
    dataset = write_dataset(folder / "data", rows=6, validation=2, pairs=3)
    recipe = recipe_for(TrainingTarget.SCOPE, method, TrainingSettings(**settings))
    write_llamafactory(folder / "llamafactory", dataset, recipe)
    described = json.loads((folder / "llamafactory" / "dataset_info.json").read_text())
    arguments = yaml.safe_load((folder / "llamafactory" / "train.yaml").read_text())
    return {name: Description.model_validate(each) for name, each in described.items()}, arguments


def rows(folder: Path, description: Description) -> list[dict[str, Any]]:
    """The rows of a file, read by the tags and columns of its description; roles alternate as its trainer demands."""
    found = [json.loads(line) for line in (folder / "llamafactory" / description.file_name).read_text().splitlines()]
    tags = description.tags
    for row in found:
        messages = row[description.columns.messages]
        if messages[0][tags.role_tag] == tags.system_tag:
            messages = messages[1:]
        for place, message in enumerate(messages):
            assert message.keys() == {tags.role_tag, tags.content_tag}
            assert message[tags.role_tag] == (tags.assistant_tag if place % 2 else tags.user_tag)
        assert len(messages) % 2 == description.ranking
    return found


def test_pairs_are_conversations_and_the_recipe_is_an_adapters(tmp_path: Path) -> None:
    described, arguments = written(tmp_path, "sft", rank=8, learning_rate=1e-4, max_tokens=2048, seed=5)
    assert {name: len(rows(tmp_path, each)) for name, each in described.items()} == {"train": 6, "validation": 2}
    assert arguments["dataset_dir"] == "llamafactory"
    assert (arguments["dataset"], arguments["eval_dataset"]) == ("train", "validation")
    wanted = {
        "stage": "sft", "finetuning_type": "lora", "lora_rank": 8, "lora_alpha": 16, "quantization_bit": 4,
        "learning_rate": 1e-4, "cutoff_len": 2048, "seed": 5, "lora_target": ",".join(LINEAR_LAYERS),
        "model_name_or_path": "base", "trust_remote_code": False, "report_to": "none",
    }  # fmt: skip
    assert {name: arguments[name] for name in wanted} == wanted


def test_preferences_are_ranked(tmp_path: Path) -> None:
    described, arguments = written(tmp_path, "dpo", dpo_beta=0.2)
    [description] = described.values()
    assert description.ranking
    found = rows(tmp_path, description)
    assert [row["chosen"]["role"] for row in found] == ["assistant"] * 3
    assert all(row["chosen"]["content"] != row["rejected"]["content"] for row in found)
    assert (arguments["stage"], arguments["pref_beta"], arguments["packing"]) == ("dpo", 0.2, False)
    assert "eval_dataset" not in arguments


def test_a_whole_base_is_trained_without_adapter_or_quantisation(tmp_path: Path) -> None:
    _, arguments = written(tmp_path, "full", max_steps=7)
    assert (arguments["finetuning_type"], arguments["max_steps"]) == ("full", 7)
    assert not {name for name in arguments if name.startswith(("lora", "quant"))}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("exchange.outsource.questions.ANSWER_TOKENS", dict.fromkeys(Stage, 16))
        yield make_home(tmp_path_factory.mktemp("home"))


def saved(home: Home, folder: Path, **changes: object) -> Path:
    """What such a trainer leaves: an adapter with other files beside it, some of them pickles."""
    make_adapter(home.base.path, folder, **changes)
    (folder / "training_args.bin").write_bytes(b"\x80\x04.")
    (folder / "README.md").write_text("# a card")
    history = [{"step": 1, "loss": 3.5}, {"step": 2, "loss": 3.25}, {"train_runtime": 12.5, "step": 2}]
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": 2, "log_history": history}))
    return folder


def configured(folder: Path, **options: object) -> Path:
    """The same adapter with other options in its configuration."""
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | options))
    return folder


def test_an_older_version_of_its_library_wrote_fewer_keys(home: Home, tmp_path: Path) -> None:
    packed = home.pack(tmp_path / "pack", format="llamafactory").folder
    trained = configured(saved(home, tmp_path / "saved"), peft_version="0.11.1", revision=None, inference_mode=False)
    kept = json.loads((trained / "adapter_config.json").read_text())
    for key in ("target_parameters", "use_rslora", "trainable_token_indices"):
        kept.pop(key, None)
    (trained / "adapter_config.json").write_text(json.dumps(kept))
    work(packed, packed / "base", trained)
    assert (packed / "returned" / "adapter" / "adapter_config.json").is_file()


def test_what_it_saved_comes_back_by_the_same_door(home: Home, tmp_path: Path) -> None:
    ours = home.pack(tmp_path / "ours").manifest
    packed = home.pack(tmp_path / "pack", format="llamafactory")
    assert packed.manifest.job != ours.job
    trained = saved(home, packed.folder / "llamafactory" / "saved")
    work(packed.folder, packed.folder / "base", trained)
    returned = packed.folder / "returned"
    assert {path.name for path in (returned / "adapter").iterdir()} == {
        "adapter_config.json", "adapter_model.safetensors",
    }  # fmt: skip
    done = accept(home.context, returned)
    assert home.context.registry.verify(done.name).metrics["stated_elsewhere"]["loss"] == 3.25
    assert done.job == packed.manifest.job


def test_what_another_recipe_gave_is_not_taken(home: Home, tmp_path: Path) -> None:
    packed = home.pack(tmp_path / "pack", format="llamafactory").folder
    with pytest.raises(UsageError, match="lora_rank"):
        work(packed, packed / "base", saved(home, tmp_path / "saved", r=2, lora_alpha=8))
    for option in ({"use_rslora": True}, {"lora_dropout": 0.5}, {"init_lora_weights": "gaussian"}, {"unheard_of": 1}):
        [key] = option
        with pytest.raises(UsageError, match=key):
            work(packed, packed / "base", configured(saved(home, tmp_path / key), **option))
    plain = saved(home, tmp_path / "pickled")
    shutil.move(plain / "adapter_model.safetensors", plain / "adapter_model.bin")
    with pytest.raises(UsageError, match="safetensors"):
        work(packed, packed / "base", plain)
    assert not (packed / "returned").exists()
