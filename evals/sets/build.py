"""Builds evaluation sets from gold campaigns: a stage's prompts in held-out repositories, with gold's answers.

The prompts equal those sent to a model at run time, byte for byte.
"""

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

from models.chat import Message, read_prompt
from models.errors import EvaluationError
from models.evaluation import EvaluationItem, EvaluationSet
from models.manifest import Instance, PlanningType
from models.protocols import Stage
from models.targets import require_stages
from models.tokens import ANSWER_TOKENS, estimate_tokens
from models.training import TrainingTarget, content_id
from store.database import reading
from store.runs.attempts import stored_calls
from store.runs.results import SolvedInstance, solved_instances
from store.texts import read_texts

if TYPE_CHECKING:
    from store.database import Connection, Engine

PLANNER = "gold"
CountMessages = Callable[[Sequence[Message]], int]
"""Tokens of a whole prompt."""


def estimate_prompt(messages: Sequence[Message]) -> int:
    """An estimate, on the high side, of a prompt's tokens without a tokenizer."""
    return sum(estimate_tokens(message.content) for message in messages)


def build_set(
    raw: "Engine",
    target: TrainingTarget,
    repositories: Collection[str],
    limit: int = 200,
    max_prompt_tokens: int | None = None,
    count: CountMessages = estimate_prompt,
    seed: int = 0,
) -> EvaluationSet:
    """At most `limit` items of a target from the instances of some repositories that gold solved.

    The newest gold trajectory of each commit counts. For task analysis, scope and precision an item is a prompt of at
    most `max_prompt_tokens` (by `count`) with gold's answer, each prompt once; for code and planning it is an instance,
    which the harness asks. Items are sampled by hash, from all repositories in turn, so that the set is reproducible.
    Raises EvaluationError when a repository has none, UsageError for a target without stages.
    """
    require_stages(target)
    with reading(raw) as connection:
        runs = solved_instances(connection, PLANNER, repositories)
        if target in (TrainingTarget.CODE, TrainingTarget.PLANNING):
            found = list(_instances(connection, target, runs))
        else:
            found = list(_prompts(connection, target, runs, max_prompt_tokens, count))
    by_repository: dict[str, list[EvaluationItem]] = {name: [] for name in sorted(set(repositories))}
    for item in found:
        by_repository[item.repository].append(item)
    for name, items in by_repository.items():
        if not items:
            raise EvaluationError(
                f"no {target.value} item of repository {name!r} is in the raw database"
                f"{f' with a prompt of at most {max_prompt_tokens} tokens' if max_prompt_tokens else ''}; "
                "run `cra campaign PACKAGE --planner gold` on it"
            )
        items.sort(key=lambda item: hashlib.sha256(f"{seed} {item.id}".encode()).digest())
    turns = chain.from_iterable(zip_longest(*by_repository.values()))
    drawn = [item for item in turns if item is not None][:limit]
    return EvaluationSet(target=target, repositories=tuple(sorted({item.repository for item in drawn})), items=drawn)


def _instances(
    connection: "Connection", target: TrainingTarget, runs: Sequence[SolvedInstance]
) -> Iterator[EvaluationItem]:
    """One item per instance; its stage is the kind of plan that the commit exercises most."""
    specs = read_texts(connection, [run.spec for run in runs])
    for run in runs:
        stage = Stage.CODE
        if target is TrainingTarget.PLANNING:
            stage = _planning_stage(Instance.model_validate_json(specs[run.spec]))
        yield _item(content_id(stage, (), run.repository, run.instance), stage, run)


def _planning_stage(instance: Instance) -> Stage:
    kinds = instance.planning_types
    if PlanningType.META in kinds:
        return Stage.META_PLAN
    return Stage.TEST_PLAN if PlanningType.TEST in kinds and PlanningType.STEP not in kinds else Stage.PART_PLAN


def _prompts(
    connection: "Connection",
    target: TrainingTarget,
    runs: Sequence[SolvedInstance],
    most: int | None,
    count: CountMessages,
) -> Iterator[EvaluationItem]:
    seen: set[tuple[Message, ...]] = set()
    stage = Stage(target.value)
    for run in runs:
        calls = stored_calls(connection, run.key, [stage])
        first = [(call.prompt, call.response) for call in calls if call.attempt == 0 and call.prompt is not None]
        texts = read_texts(connection, chain.from_iterable(first))
        for prompt, response in first:
            messages, expected = read_prompt(texts[prompt]), texts[response]
            if messages in seen or not _plain(texts[prompt] + expected):
                continue
            seen.add(messages)
            if most is None or count(messages) <= most:
                yield _item(content_id(stage, messages, expected), stage, run, messages, expected)


def _item(
    key: str, stage: Stage, run: SolvedInstance, messages: tuple[Message, ...] = (), expected: str = ""
) -> EvaluationItem:
    return EvaluationItem(
        id=key,
        stage=stage,
        repository=run.repository,
        instance=run.instance,
        commit=run.commit,
        messages=messages,
        expected=expected,
        answer_tokens=ANSWER_TOKENS[stage],
    )


def _plain(text: str) -> bool:
    """Whether a text can be stored as JSON: lone surrogates, which represent undecodable bytes, cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
