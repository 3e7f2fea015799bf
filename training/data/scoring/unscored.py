"""The student's answers that a teacher has not scored yet, and storing its scores."""

from collections.abc import Collection
from typing import NamedTuple

from models.chat import Message, read_prompt
from models.protocols import Stage
from models.targets import require_stages
from models.training import TrainingTarget
from store.database import reading
from store.learning.answer_scores import Opinion, add_score, scored_keys
from store.runs import RawStore, digest
from store.runs.closed_runs import ClosedRun, campaign_ids, read_runs
from store.texts import read_texts
from training.data.sources.calls import Call, read_calls
from training.data.sources.scores import is_on_policy


class Unscored(NamedTuple):
    """An answer of the student that counts as an example, or would with a good score; by the hashes of its texts."""

    repository: str
    commit: str
    stage: Stage
    prompt: str
    response: str

    def key(self, scorer: str) -> str:
        """The key of a teacher's score of it."""
        return digest("answer-score", scorer, self.stage.value, self.prompt, self.response)

    def texts(self, raw: RawStore) -> tuple[tuple[Message, ...], str]:
        """Prompt and answer."""
        with reading(raw.engine) as connection:
            found = read_texts(connection, [self.prompt, self.response])
        return read_prompt(found[self.prompt]), found[self.response]


def unscored(
    raw: RawStore, target: TrainingTarget, scorer: str, campaigns: Collection[str], held_out: Collection[str]
) -> tuple[list[Unscored], int]:
    """The student's answers in passing runs that this teacher has not scored, and the number that it has.

    `campaigns` are labels or key prefixes, none: all. Repositories that are `held_out` are never trained on.
    Raises UsageError for a campaign that never ran, or a target without stages.
    """
    require_stages(target)
    with reading(raw.engine) as connection:
        meant = campaign_ids(connection, campaigns)
        runs = [run for run in read_runs(connection) if _counts(run, meant, held_out)]
        calls = [call for run in runs for call in read_calls(connection, run, target.stages)]
        known = scored_keys(connection)
    answers = sorted({_answer(call, call.prompt) for call in calls if call.prompt is not None and call.fault is None})
    open_ones = [each for each in answers if each.key(scorer) not in known]
    return open_ones, len(answers) - len(open_ones)


def keep(raw: RawStore, scorer: str, answer: Unscored, opinion: Opinion) -> None:
    """Store a teacher's score; the first one stays."""
    add_score(raw.engine, answer.key(scorer), answer.stage, answer.prompt, answer.response, scorer, opinion)


def _counts(run: ClosedRun, campaigns: Collection[str], held_out: Collection[str]) -> bool:
    return (
        is_on_policy(run)
        and run.outcome.succeeded
        and run.repository not in held_out
        and (not campaigns or run.campaign in campaigns)
    )


def _answer(call: Call, prompt: str) -> Unscored:
    return Unscored(call.run.repository, call.run.instance.commit, call.stage, prompt, call.response)
