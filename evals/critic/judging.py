"""A critic asked about comparisons, each in both orders; what it said is kept, so that a stopped evaluation goes on."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from pydantic import ValidationError

from host.private import make_directory
from models.comparisons import Comparison, Criterion
from models.errors import InfrastructureError
from models.plans import Frozen
from models.training import content_hash_of

Progress = Callable[[int, int], None]


class CriticQuestion(NamedTuple):
    """Which of two versions is better by a criterion? `place` is empty for a whole change."""

    criterion: Criterion
    task: str
    place: str
    first: str
    second: str

    @property
    def reversed(self) -> "CriticQuestion":
        """The same question with the versions in the other order."""
        return self._replace(first=self.second, second=self.first)


class Critic(Protocol):
    """Anything that compares two versions. `identity` is a hash of all that decides its answers."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    @property
    def identity(self) -> str:
        """A hash of base, adapter, prompt and settings."""
        ...

    def first_is_better(self, questions: Sequence[CriticQuestion]) -> Sequence[float]:
        """The probability of each question that the first version is better, 0 to 1."""
        ...


class Verdict(Frozen):
    """What a critic said of a comparison: the probability of the better version, shown first and shown second."""

    id: str
    shown_first: float
    shown_second: float

    @property
    def score(self) -> float:
        """1 if it is right in both orders, 0 if wrong in both, 0.5 (undecided) if the order decides."""
        return (_right(self.shown_first) + _right(self.shown_second)) / 2

    @property
    def decided(self) -> bool:
        """Whether it names the same version in both orders."""
        return self.score in (0.0, 1.0)

    @property
    def combined(self) -> float:
        """1 if the mean of both probabilities is for the better version, 0.5 for a tie."""
        return _right((self.shown_first + self.shown_second) / 2)

    @property
    def first_answers(self) -> float:
        """Of its two answers, the share that names the version shown first."""
        return (_right(self.shown_first) + 1 - _right(self.shown_second)) / 2


def _right(probability: float) -> float:
    return 0.5 if probability == 0.5 else float(probability > 0.5)


def question_of(comparison: Comparison) -> CriticQuestion:
    """The question about a comparison, with the better version first."""
    return CriticQuestion(comparison.criterion, comparison.task, comparison.place, comparison.better, comparison.worse)


def both_orders(critic: Critic, question: CriticQuestion) -> tuple[float, float]:
    """The probabilities of the question's first version, shown first and shown second."""
    one, other = critic.first_is_better([question, question.reversed])
    return float(one), 1 - float(other)


def judge(critic: Critic, comparisons: Sequence[Comparison], progress: Progress) -> list[Verdict]:
    """The verdict on each comparison, in their order. Raises what the critic raises."""
    verdicts = []
    for done, comparison in enumerate(comparisons, 1):
        first, second = both_orders(critic, question_of(comparison))
        verdicts.append(Verdict(id=comparison.id, shown_first=first, shown_second=second))
        progress(done, len(comparisons))
    return verdicts


class KeptAnswer(Frozen):
    """An answer by the hash of its question."""

    question: str
    first_is_better: float


class KeptCritic:
    """A critic whose answers are kept in a file of `folder` as they are given, so that none is asked for twice."""

    def __init__(self, critic: Critic, folder: Path) -> None:
        self.name, self.identity = critic.name, critic.identity
        self._critic, self._path = critic, folder / f"{critic.identity}.jsonl"
        self._known = {answer.question: answer.first_is_better for answer in _read(self._path)}

    def first_is_better(self, questions: Sequence[CriticQuestion]) -> list[float]:
        """The probability of each question's first version. Raises what the critic raises, InfrastructureError if the
        disk does not take an answer."""
        keys = [content_hash_of(list(question)) for question in questions]
        new = {key: question for key, question in zip(keys, questions, strict=True) if key not in self._known}
        for key, answer in zip(new, self._critic.first_is_better(list(new.values())) if new else (), strict=True):
            self._known[key] = float(answer)
            _append(self._path, KeptAnswer(question=key, first_is_better=float(answer)))
        return [self._known[key] for key in keys]


def _read(path: Path) -> Iterable[KeptAnswer]:
    """The answers of a file; a line that a kill left unfinished is none."""
    if not path.exists():
        return
    for line in path.read_bytes().splitlines():
        try:
            yield KeptAnswer.model_validate_json(line)
        except ValidationError:
            continue


def _append(path: Path, answer: KeptAnswer) -> None:
    try:
        make_directory(path.parent)
        with path.open("ab") as stream:
            stream.write(b"\n" * (stream.tell() > 0) + answer.model_dump_json().encode())
    except OSError as error:
        raise InfrastructureError(f"{path} cannot be written: {error.strerror}; free disk space") from error
