"""One candidate per prompt: common beginnings computed once, training that goes on, an adapter that is asked."""

import json
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.study.questions import StudyCandidate, StudyQuestion
from models.context import CandidateTier, Relevance
from models.errors import TrainingError
from models.settings import Settings
from tests.support.fitting_data import tiny_base
from training.bases.bases import Base
from training.bases.shared_prefix import next_token_logits, share
from training.pointwise import learner as learning
from training.pointwise import letters
from training.pointwise.checkpoint import CHECKPOINT
from training.pointwise.fitting import groups_of
from training.pointwise.learner import PointwiseLearner
from training.pointwise.model import PointwiseModel
from training.pointwise.prompt import candidate_prompt, listed_prompts


def candidate(rank: int, relevance: Relevance) -> StudyCandidate:
    return StudyCandidate(
        path=f"src/{'part' * (rank % 3 + 1)}{rank}.py",
        rank=rank,
        score=1 / rank,
        tier=CandidateTier.LEXICAL,
        reason="shares words with the task",
        kind="production",
        symbols="run, stop" if rank % 2 else "",
        relevance=relevance,
    )


def questions(number: int) -> list[StudyQuestion]:
    """Questions in which the first candidate is relevant, the second supporting, and the others are neither."""
    classes = [Relevance.RELEVANT, Relevance.SUPPORTING, *[Relevance.IRRELEVANT] * 10]
    return [
        StudyQuestion(
            repository="ant",
            commit=f"{n:040x}",
            task=f"Stop the run of part {n} when the queue is empty",
            candidates=tuple(candidate(rank, label) for rank, label in enumerate(classes, 1)),
        )
        for n in range(number)
    ]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return tiny_base(tmp_path_factory.mktemp("base"))


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=6), min_size=1, max_size=5))
def test_shared_prompts_are_the_prompts(prompts: list[list[int]]) -> None:
    shared = share(prompts)
    assert [shared.prefix + rest for rest in shared.rests] == prompts
    assert all(shared.rests)
    assert shared.longest == max(map(len, prompts))
    assert shared.tokens <= sum(map(len, prompts))


@pytest.mark.slow
def test_logits_after_a_common_beginning_are_those_of_whole_prompts(base: Base) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(str(base.path), dtype=torch.float32).eval()
    prompts = [[1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 9], [1, 2, 3, 4, 8, 8, 8, 8, 8, 8]]
    with torch.no_grad():
        found = next_token_logits(model, share(prompts), 0)
        alone = torch.stack([model(input_ids=torch.tensor([each])).logits[0, -1] for each in prompts])
        single = next_token_logits(model, share(prompts[:1]), 0)
        apart = next_token_logits(model, share([[4, 5], [6, 7, 8]]), 0)
        whole = torch.stack([model(input_ids=torch.tensor([each])).logits[0, -1] for each in ([4, 5], [6, 7, 8])])
    torch.testing.assert_close(found, alone, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(single[0], alone[0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(apart, whole, atol=1e-5, rtol=1e-4)


@pytest.mark.slow
def test_a_stopped_training_goes_on_with_the_same_losses(
    base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letters, "CHECKPOINT_STEPS", 2)
    learner = PointwiseLearner(Settings(data_dir=tmp_path / "data", cache_dir=tmp_path / "cache"), base)
    data = questions(8)

    def stop_at(step: int) -> Callable[[int, int], None]:
        def progress(done: int, total: int) -> None:
            assert total == 16  # two groups of each of eight questions
            if done == step:
                raise KeyboardInterrupt

        return progress

    learner.learn(data, 3, tmp_path / "whole", stop_at(0))
    for step in (1, 6, 11):
        with pytest.raises(KeyboardInterrupt):
            learner.learn(data, 3, tmp_path / "stopped", stop_at(step))
    learner.learn(data, 3, tmp_path / "stopped", stop_at(0))
    whole, stopped = (json.loads((tmp_path / place / "fit.json").read_text()) for place in ("whole", "stopped"))
    assert whole["losses"] == stopped["losses"]
    assert (whole["rows"], whole["tokens"]) == (96, stopped["tokens"])
    assert whole["tokens"] < whole["whole_tokens"]
    files = [(tmp_path / place / "adapter/adapter_model.safetensors").read_bytes() for place in ("whole", "stopped")]
    assert files[0] == files[1]


def learner_in(folder: Path, base: Base) -> PointwiseLearner:
    """A learner without any configuration."""
    return PointwiseLearner(Settings(data_dir=folder / "data", cache_dir=folder / "cache"), base)


def train_and_be_killed(folder: Path, base: Base, step: int) -> None:
    """Train in a process of its own, which is killed after so many steps."""
    letters.CHECKPOINT_STEPS = 2

    def progress(done: int, total: int) -> None:
        if done == step:
            os.kill(os.getpid(), signal.SIGKILL)

    learner_in(folder, base).learn(questions(8), 3, folder / "killed", progress)


@pytest.mark.slow
def test_a_killed_training_goes_on_with_the_same_losses(base: Base, tmp_path: Path) -> None:
    for step in (5, 9):
        child = multiprocessing.get_context("spawn").Process(target=train_and_be_killed, args=(tmp_path, base, step))
        child.start()
        child.join()
        assert child.exitcode == -signal.SIGKILL
        assert not (tmp_path / "killed" / letters.FIT).exists()
    for place in ("killed", "whole"):
        learner_in(tmp_path, base).learn(questions(8), 3, tmp_path / place, lambda done, total: None)
    killed, whole = (json.loads((tmp_path / place / letters.FIT).read_text()) for place in ("killed", "whole"))
    assert killed["losses"] == whole["losses"]
    assert killed["tokens"] == whole["tokens"]


@pytest.mark.slow
def test_a_damaged_checkpoint_is_named_with_the_remedy(base: Base, tmp_path: Path) -> None:
    (tmp_path / "fit").mkdir()
    (tmp_path / "fit" / CHECKPOINT).write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(TrainingError, match=rf"{CHECKPOINT} is damaged .*remove it"):
        learner_in(tmp_path, base).learn(questions(2), 0, tmp_path / "fit", lambda done, total: None)
    assert not (tmp_path / "fit" / letters.FIT).exists()


@pytest.mark.slow
def test_a_loss_that_is_no_number_ends_a_training_without_an_adapter(
    base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning, "LEARNING_RATE", 1e30)
    with pytest.raises(TrainingError, match=r"step \d+ has a loss of"):
        learner_in(tmp_path, base).learn(questions(8), 0, tmp_path / "fit", lambda done, total: None)
    assert not (tmp_path / "fit" / letters.FIT).exists()


@pytest.mark.slow
def test_an_adapter_learns_a_class_that_its_prompts_show(base: Base, tmp_path: Path) -> None:
    learner = PointwiseLearner(Settings(data_dir=tmp_path / "data", cache_dir=tmp_path / "cache"), base)
    model = learner.learn(questions(60), 0, tmp_path / "fit", lambda done, total: None)
    losses = json.loads((tmp_path / "fit" / "fit.json").read_text())["losses"]
    assert sum(losses[-5:]) < sum(losses[:5])
    [first, *_], [again, *_] = (model.distributions(questions(1)[0]) for _ in range(2))
    assert first == again
    assert sum(first) == pytest.approx(1)
    other = learner.learn(questions(60), 1, tmp_path / "other", lambda done, total: None)
    assert other.identity != model.identity


def test_the_candidate_comes_last() -> None:
    [question] = questions(1)
    texts = [candidate_prompt(question, each)[0].content for each in question.candidates]
    shared = share([list(text.encode()) for text in texts])
    assert question.task in bytes(shared.prefix).decode()
    assert all(
        text.index(each.path) > text.index(question.task) for each, text in zip(question.candidates, texts, strict=True)
    )


@pytest.mark.parametrize(("shown", "lists"), [(5, [5, 5, 2]), (0, [12]), (30, [12])])
def test_a_list_holds_neighbours_in_the_order_of_their_ranks_and_its_prompts_begin_alike(
    shown: int, lists: list[int]
) -> None:
    [question] = questions(1)
    texts = [prompt[0].content for prompt in listed_prompts(question, range(12), shown)]
    begun = 0
    for size in lists:
        own = question.candidates[begun : begun + size]
        for number, text in enumerate(texts[begun : begun + size], 1):
            assert [each.path for each in question.candidates if f". {each.path}\n" in text] == [e.path for e in own]
            assert text.endswith(f"number {number}")
            assert f"\n{number}. {own[number - 1].path}\n" in text
        shared = share([list(text.encode()) for text in texts[begun : begun + size]])
        assert max(map(len, shared.rests)) <= 2  # the number alone
        begun += size
    assert listed_prompts(question, range(12), 1) == [candidate_prompt(question, c) for c in question.candidates]


@given(st.integers(0, 13), st.integers(0, 5), st.sets(st.integers(0, 11), min_size=1))
def test_groups_hold_each_candidate_that_is_learned_from_once(shown: int, seed: int, taken: set[int]) -> None:
    [question] = questions(1)
    thin = question.model_copy(update={"taken": tuple(sorted(taken))})
    groups = groups_of([thin, question], seed, shown)
    for asked, wanted in ((thin, sorted(taken)), (question, list(range(12)))):
        own = [group for group in groups if group.question is asked]
        assert sorted(number for group in own for number in group.numbers) == wanted
        if shown > 1:
            assert all(len({number // shown for number in group.numbers}) == 1 for group in own)
    assert all(len(group.numbers) <= 10 for group in groups)


@pytest.mark.slow
def test_models_with_other_lists_are_others_and_each_learns(base: Base, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", cache_dir=tmp_path / "cache")
    identities = set()
    for shown in (1, 5, 0):
        learner = PointwiseLearner(settings, base, shown=shown)
        model = learner.learn(questions(60), 0, tmp_path / str(shown), lambda done, total: None)
        fit = json.loads((tmp_path / str(shown) / letters.FIT).read_text())
        assert fit["rows"] == 60 * 12
        assert sum(fit["losses"][-5:]) < sum(fit["losses"][:5])
        assert [round(sum(each), 6) for each in model.distributions(questions(1)[0])] == [1] * 12
        identities |= {learner.identity, PointwiseModel(settings, base, shown=shown).identity}
    assert len(identities) == 6
