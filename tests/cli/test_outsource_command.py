"""`cra outsource` from packing to the gate, as its user gives the commands."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")

from exchange.outsource.work import work
from models.errors import RegistryError
from models.evaluation import GateVerdict
from models.protocols import Stage
from models.training import TrainingTarget
from tests.support.commands import Result, invoke
from tests.support.outsource_material import Home, make_home
from tests.support.plain_steps import plain_steps
from training.cycle.lifecycle import gate_registered
from training.cycle.orders import TrainOrder
from training.cycle.steps import StudentCampaign

pytestmark = pytest.mark.slow

FEW = {
    "CRA_TRAINING__MAX_STEPS": "2", "CRA_TRAINING__BATCH_SIZE": "2", "CRA_TRAINING__RANK": "4",
    "CRA_TRAINING__VALIDATION_ROWS": "2", "CRA_TRAINING__LEARNING_RATE": "5e-3", "CRA_TRAINING__THINKING": "false",
}  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with pytest.MonkeyPatch.context() as patch:
        for module in ("exchange.outsource.questions", "evals.scoring"):
            patch.setattr(f"{module}.ANSWER_TOKENS", dict.fromkeys(Stage, 16))
        yield make_home(tmp_path_factory.mktemp("home"))


def cra(home: Home, *arguments: str | Path) -> Result:
    return invoke("outsource", *arguments, cwd=home.folder, **FEW)


def no_campaign(asked: StudentCampaign) -> str:
    raise AssertionError(f"no campaign is due: {asked}")


def other_dataset(home: Home) -> Path:
    """Another dataset of the same target."""
    folder = Path(shutil.copytree(home.dataset, home.folder / "other"))
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | {"id": "0" * 64}))
    return folder


def test_a_training_is_packed_verified_accepted_and_gated(home: Home) -> None:
    options = ["--base", "tiny", "--backend", "trl-cpu", "--out", "pack"]
    packed = json.loads(cra(home, "pack", home.dataset, *options, "--json").stdout)
    folder = Path(packed["folder"])
    assert packed["needs"]["gpu_memory"] == 0
    assert packed["id"] in cra(home, "verify", folder).stdout
    refused = cra(home, "pack", home.dataset, *options)
    assert (refused.returncode, "--out" in refused.stderr) == (2, True)
    work(folder, folder / "base", None)
    told = json.loads(cra(home, "verify", folder / "returned", "--json").stdout)
    assert (told["kind"], told["pack"], told["job"]) == ("returned", packed["id"], packed["job"])
    shown = cra(home, "accept", folder / "returned").stdout
    assert shown.startswith("scope-v1 ")
    done = json.loads(cra(home, "accept", folder / "returned", "--sample", "9", "--json").stdout)
    assert (done["name"], done["agreement"]["rows"], done["agreement"]["questions"]) == ("scope-v1", 2, 3)
    assert len(set(done["agreement"]["drawn"])) == 5
    assert cra(home, "accept", folder / "returned", "--sample", "1").returncode == 2

    order = TrainOrder(target=TrainingTarget.SCOPE, base="tiny", dataset=home.dataset)
    with pytest.raises(RegistryError, match="--dataset"):
        gate_registered(
            home.context,
            plain_steps(no_campaign),
            order.model_copy(update={"dataset": other_dataset(home)}),
            "scope-v1",
        )
    report = gate_registered(home.context, plain_steps(no_campaign), order, "scope-v1")
    assert (report.adapter, report.serving) == ("scope-v1", "tiny")
    assert report.verdict in (GateVerdict.INCONCLUSIVE, GateVerdict.REJECT)  # random weights cannot write JSON
    assert [entry.action for entry in home.context.registry.log()] == [report.verdict.value]
    assert report.losses.is_file()
    assert report.losses.with_name("loss.svg").is_file()  # which the engine shows


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["verify", "nowhere"], 2, "nowhere"),
        (["accept", "nowhere"], 2, "nowhere"),
        (["accept", "."], 2, "returned.json"),
        (["pack", "nowhere", "--base", "tiny", "--out", "new"], 1, "nowhere"),
        (["pack", "data", "--base", "unheard-of", "--out", "new"], 1, "unheard-of"),
    ],
)
def test_what_is_missing_is_said_in_one_line(home: Home, arguments: list[str], status: int, said: str) -> None:
    done = cra(home, *arguments)
    assert (done.returncode, said in done.stderr.splitlines()[-1]) == (status, True)
    assert not (home.folder / "new").exists()
