"""What `cra doctor` says of training back ends and of vLLM, of what is installed here."""

from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("trl")

from cli.doctor_trainers import trainers, vllm
from models.errors import TrainingError
from models.rehearsal import Finding
from models.serving_settings import ServingSettings
from models.settings import Settings
from models.training_settings import TrainingSettings
from training.fit import installed
from training.fit.backends import choose_backend


def rows(**training: str) -> dict[str, Finding]:
    settings = Settings(training=TrainingSettings(**training))
    return {each.what: each for each in trainers(settings)}


def test_each_back_end_has_its_versions_or_the_command_that_installs_it() -> None:
    found = rows()
    assert list(found) == ["trainer trl-cpu", "trainer trl-gpu", "trainer unsloth-gpu"]
    assert found["trainer trl-cpu"].verdict == "ok" and "trl 1." in found["trainer trl-cpu"].found
    if find_spec("unsloth") is None:
        unsloth = found["trainer unsloth-gpu"]
        assert (unsloth.verdict, unsloth.remedy) == ("warning", "`uv sync --inexact --extra unsloth`")
        assert "unsloth" in unsloth.found
        assert rows(backend="unsloth-gpu")["trainer unsloth-gpu"].verdict == "failed", "the settings name it"


def test_trainers_that_need_a_gpu_are_no_trainers_for_a_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unsloth wants trl 1.15, whose loss is computed by kernels of a GPU."""
    monkeypatch.setattr(installed, "version", lambda name: "1.15.0")
    with pytest.raises(TrainingError, match=r"trl 1\.15\.0 .*--extra train"):
        choose_backend("trl-cpu")


def test_versions_beside_the_lock_are_named(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").write_text('[[package]]\nname = "trl"\nversion = "0.0.1"\n')
    assert installed.installed("trl-cpu", tmp_path).unlocked == ["trl"]
    assert installed.installed("trl-cpu").unlocked == []


def test_a_python_that_the_settings_name_is_taken_as_it_is() -> None:
    [found] = vllm(Settings(serving=ServingSettings(python="/opt/vllm/bin/python")))
    assert found.verdict == "ok" and "/opt/vllm/bin/python" in found.found


def test_behind_the_air_gap_a_trainer_comes_in_a_bundle() -> None:
    found = {each.what: each.remedy for each in trainers(Settings(air_gapped=True)) if each.verdict != "ok"}
    if find_spec("unsloth") is not None:
        pytest.skip("all trainers are installed here")
    assert "trainer unsloth-gpu" in found
    assert "`cra bundle make --extra unsloth`" in found["trainer unsloth-gpu"]
    assert not [remedy for remedy in found.values() if "--inexact" in remedy]
