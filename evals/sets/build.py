"""Evaluation sets out of gold campaigns: what was asked of a stage in a held-out repository, and what gold answered.

The prompts are those that a model is sent at run time, byte for byte.
"""

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

from sqlalchemy import Connection, RowMapping, select

from models.chat import Message, read_prompt
from models.errors import EvaluationError
from models.evaluation import EvaluationItem, EvaluationSet
from models.manifest import Instance, PlanningType
from models.protocols import Stage
from models.tokens import ANSWER_TOKENS, estimate_tokens
from models.training import TrainingTarget, content_id
from store.rows import read_texts, reading, table_of
from store.tables import InstanceRow, RetrievalLlmCall, TaskRun

if TYPE_CHECKING:
    from sqlalchemy import Engine

PLANNER = "gold"
CountMessages = Callable[[Sequence[Message]], int]
"""Tokens of a whole prompt."""
_RUNS = table_of(TaskRun)
_CALLS = table_of(RetrievalLlmCall)
_INSTANCES = table_of(InstanceRow)


def estimate_prompt(messages: Sequence[Message]) -> int:
    """Tokens of a prompt when no tokenizer is at hand, on the high side."""
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

    Of each commit the newest gold trajectory counts. For task analysis, scope and precision an item is a prompt of at
    most `max_prompt_tokens` (by `count`) with gold's answer, each prompt once; for code and planning it is an instance,
    which the harness asks. Items are drawn by hash, from all repositories in turn, so that the same database gives the
    same set. Raises EvaluationError when a repository has none.
    """
    with reading(raw) as connection:
        runs = _solved(connection, repositories)
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


def _solved(connection: Connection, repositories: Collection[str]) -> list[RowMapping]:
    """The newest passing gold trajectory of each commit, with its instance."""
    query = (
        select(
            _RUNS.c.campaign_id,
            _RUNS.c.id,
            _RUNS.c.closed_attempt,
            _INSTANCES.c.instance_id,
            _INSTANCES.c.repository,
            _INSTANCES.c.commit,
            _INSTANCES.c.spec_hash,
        )
        .join(_INSTANCES, _INSTANCES.c.id == _RUNS.c.instance_id)
        .where(_RUNS.c.planner == PLANNER, _RUNS.c.success, _INSTANCES.c.repository.in_(sorted(set(repositories))))
        .order_by(_RUNS.c.closed_at, _RUNS.c.id)
    )
    newest = {(row["repository"], row["commit"]): row for row in connection.execute(query).mappings()}
    return [newest[key] for key in sorted(newest)]


def _instances(connection: Connection, target: TrainingTarget, runs: Sequence[RowMapping]) -> Iterator[EvaluationItem]:
    """One item per instance; its stage is the plan that the commit exercises most."""
    specs = read_texts(connection, [run["spec_hash"] for run in runs])
    for run in runs:
        stage = Stage.CODE
        if target is TrainingTarget.PLANNING:
            stage = _planning_stage(Instance.model_validate_json(specs[run["spec_hash"]]))
        yield EvaluationItem(
            id=content_id(stage, (), run["repository"], run["instance_id"]),
            stage=stage,
            repository=run["repository"],
            instance=run["instance_id"],
            commit=run["commit"],
            messages=(),
            expected="",
            answer_tokens=ANSWER_TOKENS[stage],
        )


def _planning_stage(instance: Instance) -> Stage:
    kinds = instance.planning_types
    if PlanningType.META in kinds:
        return Stage.META_PLAN
    return Stage.TEST_PLAN if PlanningType.TEST in kinds and PlanningType.STEP not in kinds else Stage.PART_PLAN


def _prompts(
    connection: Connection, target: TrainingTarget, runs: Sequence[RowMapping], most: int | None, count: CountMessages
) -> Iterator[EvaluationItem]:
    seen: set[tuple[Message, ...]] = set()
    for run in runs:
        query = (
            select(_CALLS.c.prompt_hash, _CALLS.c.response_hash)
            .where(
                _CALLS.c.campaign_id == run["campaign_id"],
                _CALLS.c.task_run_id == run["id"],
                _CALLS.c.attempt == run["closed_attempt"],
                _CALLS.c.call_type == target.value,
                _CALLS.c.step_attempt == 0,
                _CALLS.c.prompt_hash.is_not(None),
            )
            .order_by(_CALLS.c.seq)
        )
        calls = connection.execute(query).all()
        texts = read_texts(connection, chain.from_iterable(calls))
        for prompt, response in calls:
            messages, expected = read_prompt(texts[prompt]), texts[response]
            if messages in seen or not _plain(texts[prompt] + expected):
                continue
            seen.add(messages)
            if most is None or count(messages) <= most:
                yield _item(target, run, messages, expected)


def _item(target: TrainingTarget, run: RowMapping, messages: tuple[Message, ...], expected: str) -> EvaluationItem:
    stage = Stage(target.value)
    return EvaluationItem(
        id=content_id(stage, messages, expected),
        stage=stage,
        repository=run["repository"],
        instance=run["instance_id"],
        commit=run["commit"],
        messages=messages,
        expected=expected,
        answer_tokens=ANSWER_TOKENS[stage],
    )


def _plain(text: str) -> bool:
    """Whether a text can be stored as JSON: lone surrogates, which stand for undecodable bytes, cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
