"""The ablation of windows: what arms are trained and measured on, how a stopped one goes on, what it says."""

import json
import shutil
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from evals.sets.frozen import reserve
from harness.packages.contents import content_of
from models.errors import TrainingError, UsageError
from store.database import open_database
from store.rows import writing
from store.runs import open_raw_store
from store.runs.corpus import add_content
from tests.support.code_repositories import code_repository
from tests.support.commands import invoke
from tests.support.tiny import make_tiny_base
from training.bases.bases import Base, add_base
from training.bases.windows import reduced_base
from training.windows.ablation import BASE, CONTROL, REDUCED, UNTRAINED, Ablation, AblationSettings
from training.windows.learning import LearningSettings, learn
from training.windows.measures import key_value_memory, losses_by_position, speed_at, token_losses
from training.windows.texts import CodeSequence, CodeSource, measured_sequences, training_chunks
from training.windows.verdicts import verdicts_of

LEARNING = LearningSettings(learning_rate=1e-3, step_tokens=512)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    folder = tmp_path_factory.mktemp("ablation")
    curated = open_database(folder / "curated.sqlite", "curated")
    return add_base(curated, folder, make_tiny_base(folder / "source"), "tiny")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[CodeSource]:
    folder = tmp_path_factory.mktemp("sources")
    gits = [(name, code_repository(folder, name)) for name in ("alpha", "beta", "gamma")]
    return [CodeSource(name, git, git.resolve("HEAD")) for name, git in gits]


def _model(base: Base) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(base.path, local_files_only=True).eval()


def _tokenizer(base: Base) -> Any:
    from training.bases.chat_format import ChatFormat

    return ChatFormat.load(base.path).tokenizer


def test_every_window_gets_the_same_tokens(base: Base, sources: list[CodeSource]) -> None:
    tokenizer = _tokenizer(base)
    short, long, again, other = (
        training_chunks(sources, tokenizer, 2048, length, seed)
        for length, seed in ((256, 0), (512, 0), (512, 0), (512, 1))
    )
    assert (len(short), len(long)) == (8, 4) and long == again != other
    assert sorted(token for chunk in short for token in chunk) == sorted(token for chunk in long for token in chunk)
    assert sorted(long) == sorted(other)
    with pytest.raises(TrainingError, match=r"--tokens 10000000: .* tokens of Python"):
        training_chunks(sources, tokenizer, 10_000_000, 512, 0)


def test_measured_sequences_are_of_one_repository_and_one_length(base: Base, sources: list[CodeSource]) -> None:
    found = measured_sequences(sources[0], _tokenizer(base), 512, 3)
    assert len(found) == 3 and {(each.repository, len(each.ids)) for each in found} == {("alpha", 512)}
    assert found == measured_sequences(sources[0], _tokenizer(base), 512, 3)


def test_losses_are_those_of_the_model_at_each_position(base: Base) -> None:
    import torch

    model, ids = _model(base), [(7 * k) % 900 for k in range(640)]
    losses = token_losses(model, ids)
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0, :-1]
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="none")
    assert torch.allclose(losses, expected, atol=1e-4)
    buckets = losses_by_position(model, [CodeSequence("a", ids)], 64)["a"]
    assert len(buckets) == 10
    assert buckets[0] == pytest.approx(float(expected[:63].mean()), abs=1e-4)
    assert buckets[9] == pytest.approx(float(expected[575:].mean()), abs=1e-4)


def test_memory_of_keys_and_values_is_what_the_cache_holds(base: Base) -> None:
    memory = key_value_memory(_model(base), list(range(100)))
    assert memory.computed == memory.measured == 2 * 2 * 2 * 16 * 4  # keys and values, layers, heads, width, bytes
    speed = speed_at(_model(base), list(range(100)))
    assert speed.prefill > 0 and speed.decode > 0


def test_training_lowers_the_loss_and_changes_the_weights(base: Base, sources: list[CodeSource]) -> None:
    model, told = _model(base), list[tuple[int, int]]()
    chunks = training_chunks(sources, _tokenizer(base), 4096, 256, 0)
    before = model.model.layers[0].mlp.up_proj.weight.detach().clone()
    done = learn(model, chunks, LEARNING, lambda tokens, of: told.append((tokens, of)))
    assert len(done.losses) == 8 and done.tokens == 4096 and told[-1] == (4096, 4096)
    assert done.losses[-1] < done.losses[0]
    assert float((model.model.layers[0].mlp.up_proj.weight != before).float().mean()) > 0.99


def test_a_loss_that_is_not_finite_is_named(base: Base, sources: list[CodeSource]) -> None:
    model = _model(base)
    with pytest.raises(TrainingError, match="loss is nan; lower --learning-rate"):
        learn(
            model,
            training_chunks(sources, _tokenizer(base), 4096, 256, 0),
            LEARNING.model_copy(update={"learning_rate": 1e30}),
            lambda *_: None,
        )


def test_an_ablation_goes_on_where_it_was_stopped(base: Base, sources: list[CodeSource], tmp_path: Path) -> None:
    settings = AblationSettings(windows=(256,), tokens=1024, learning=LEARNING)
    arms: list[str] = []

    def stop_in_control(what: str, done: int, of: int) -> None:
        arms.append(what)
        if what.startswith(CONTROL):
            raise KeyboardInterrupt

    ablation = partial(Ablation, base, settings, sources[:1], sources[1:], (), tmp_path)
    with pytest.raises(KeyboardInterrupt):
        ablation(stop_in_control).run()
    arms.clear()
    result = ablation(lambda what, done, of: arms.append(what)).run()
    assert {*arms} == {"control 256 seed 0"}  # the others were read
    assert [(each.name, each.window) for each in result.arms] == [
        (BASE, 512),
        (UNTRAINED, 256),
        (REDUCED, 256),
        (CONTROL, 256),
    ]
    assert result.length == 512 and result.measured == ("beta", "gamma") and result.training == ("alpha",)
    trained = [each for each in result.arms if each.seed is not None]
    assert [each.trained_tokens for each in trained] == [1024, 1024]
    assert trained[0].train_losses != trained[1].train_losses  # another rotary base
    assert ablation(lambda *_: None).run() == result
    assert {file.suffix for file in ablation(lambda *_: None).folder.iterdir()} == {".json"}  # no weights are left


def test_an_untrained_reduced_arm_is_the_reduced_base(base: Base, sources: list[CodeSource], tmp_path: Path) -> None:
    settings = AblationSettings(windows=(256,), tokens=512, sequences=1, learning=LEARNING)
    ablation = Ablation(base, settings, sources[:1], sources[1:2], (), tmp_path, lambda *_: None)
    arm = next(each for each in ablation.run().arms if each.name == UNTRAINED)
    sequences = measured_sequences(sources[1], _tokenizer(base), 512, 1)
    reduced = _model(reduced_base(base, 256, tmp_path / "again"))
    assert arm.losses == losses_by_position(reduced, sequences, 32)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    shown = invoke("bases", "add", make_tiny_base(tmp_path / "source"), "--name", "tiny", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    return tmp_path


def test_the_command_prints_a_table_and_draws_a_plot(place: Path, sources: list[CodeSource]) -> None:
    options = ["--base", "tiny", "--windows", "256,512", "--tokens", "1024", "--sequences", "1", "--out", "made"]
    train, measure = ",".join([str(_place(sources[0]))]), ",".join(str(_place(each)) for each in sources[1:])
    command = ["bases", "ablate", *options, "--repositories", train, "--measure", measure]
    shown = invoke(*command, "--json", cwd=place)
    assert shown.returncode == 0, shown.stderr
    found = json.loads(shown.stdout)
    assert [each["window"] for each in found["verdicts"]] == [256, 512]
    assert all(not each["justified"] for each in found["verdicts"])  # two repositories can show nothing
    assert Path(place / found["plot"]).read_text().startswith("<?xml")
    again = invoke(*command, "--plot", "loss.png", cwd=place)
    assert again.returncode == 0 and "no frozen set" in again.stdout and "reduced less control" in again.stdout
    assert len(list((place / "made").glob("*/loss.png"))) == 1


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--windows", "4096"], "tiny has a window of 4096"),
        (["--windows", "many"], "--windows 'many'"),
        (["--windows", "512", "--tokens", "100"], "--tokens 100"),
        (["--windows", "512", "--plot", "../x.svg"], "--plot"),
        (["--windows", "512", "--measure", "alpha"], "one is a copy"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(
    place: Path, sources: list[CodeSource], options: list[str], named: str
) -> None:
    clones = str(_place(sources[0]).parent)
    given = ["--base", "tiny", "--clones", clones, "--repositories", "alpha", "--measure", "beta"]
    shown = invoke("bases", "ablate", *given, *options, cwd=place)
    assert shown.returncode == 2 and named in shown.stderr and shown.stderr.count("\n") == 1


def _place(source: CodeSource) -> Path:
    return source.git.directory


def test_windows_are_whole_buckets(base: Base, sources: list[CodeSource], tmp_path: Path) -> None:
    settings = AblationSettings(windows=(300,), tokens=1024, learning=LEARNING)
    with pytest.raises(UsageError, match="multiples of 16"):
        Ablation(base, settings, sources[:1], sources[1:], (), tmp_path, lambda *_: None).run()


@pytest.mark.parametrize(("windows", "bucket", "length"), [((256, 1792), 128, 3584), ((256, 272), 16, 544)])
def test_every_window_ends_with_a_bucket(
    base: Base, sources: list[CodeSource], tmp_path: Path, windows: tuple[int, ...], bucket: int, length: int
) -> None:
    """The smaller window has a part of its own, however much smaller than the largest it is."""
    settings = AblationSettings(windows=windows, tokens=2048, learning=LEARNING)
    result = Ablation(base, settings, sources[:1], sources[1:2], (), tmp_path, lambda *_: None).run()
    assert (result.bucket, result.length) == (bucket, length) and length // bucket >= 16
    assert {len(each.losses["beta"]) for each in result.arms} == {length // bucket}
    for window, verdict in zip(windows, verdicts_of(result), strict=True):
        [control] = [each for each in result.arms if each.name == CONTROL and each.window == window]
        found = verdict.parts[CONTROL]
        assert found.inside == pytest.approx(fmean(control.losses["beta"][: window // bucket]))
        assert found.beyond == pytest.approx(fmean(control.losses["beta"][window // bucket :]))


@pytest.mark.parametrize("copied", [False, True])
def test_a_reserved_repository_is_not_trained_on(place: Path, tmp_path: Path, copied: bool) -> None:
    """Neither by its name nor, under another one, by its content; nothing is trained before."""
    names = ("held", "other", "third")
    gits = {name: code_repository(tmp_path / "clones", name) for name in names}
    curated = open_database(f"sqlite:///{place / 'data' / 'curated.sqlite'}", "curated")
    raw = open_raw_store(f"sqlite:///{place / 'data' / 'raw.sqlite'}")
    if copied:
        with writing(raw.engine) as connection:
            add_content(connection, "held", content_of(gits["held"], [gits["held"].resolve("HEAD")]))
        shutil.copytree(gits["held"].directory, tmp_path / "clones" / "fork")
    reserve(curated, raw.engine, ["held"], "to evaluate on")
    options = ["--base", "tiny", "--windows", "256", "--tokens", "512", "--sequences", "1", "--out", "made"]
    options += ["--clones", str(tmp_path / "clones"), "--measure", "other"]
    shown = invoke("bases", "ablate", *options, "--repositories", "fork" if copied else "held", cwd=place)
    assert shown.returncode == 2 and "is reserved for evaluation" in shown.stderr
    assert not (place / "made").exists()
    assert invoke("bases", "ablate", *options, "--repositories", "third", cwd=place).returncode == 0
