"""Tasks of the supplement flow: one per commit, which asks the teacher, tries the tests and measures them."""

import threading
from collections.abc import Mapping
from pathlib import Path

from prefect import tags, task

from harness.packages.gold_patch import read_gold_patch
from harness.packages.package import generated_tests
from harness.supplement import Teacher, UntestedInstance, cached_trial, store_files, supplement
from harness.test_quality import cached_quality
from models.chat import Message, prompt_text
from models.errors import DatabaseError
from models.files import Overlay
from models.manifest import Instance
from models.supplements import Supplement, TeacherReply, Trial
from models.test_quality import TestQuality
from store.runs import RawStore, digest, instance_key
from store.runs.supplements import SupplementStore
from tasks.caching import RETRY_DELAYS, cache_options, is_infrastructure


class SupplementContext:
    """What the commits of a run share. A plain class, so that the engine does not walk through what it holds."""

    def __init__(
        self, raw: RawStore, store: SupplementStore, cache_dir: Path, teacher: Teacher, sandboxes: int = 1
    ) -> None:
        self.raw, self.store, self.cache_dir, self.teacher = raw, store, cache_dir, teacher
        self.slots = threading.BoundedSemaphore(sandboxes)


class SupplementCase:
    """A commit that lacks tests, on a desk. Plain, like `SupplementContext`."""

    def __init__(self, subject: UntestedInstance, context: SupplementContext) -> None:
        self.subject, self.context = subject, context

    @property
    def label(self) -> str:
        """What a person sees: repository and commit."""
        return f"{self.subject.package.manifest.name}@{self.subject.instance.commit[:7]} supplement"

    @property
    def tags(self) -> set[str]:
        """What a person filters by."""
        return {self.subject.package.manifest.name, self.subject.instance.commit[:7]}

    @property
    def key(self) -> str:
        """The key of the instance as it is without generated tests."""
        return instance_key(self.subject.package.manifest.name, self.subject.instance)

    def attempt(self, subject: UntestedInstance, modules: Mapping[str, str]) -> Trial:
        """Try test modules in a task of its own."""
        return try_tests(self, dict(modules))


@task(
    task_run_name="try tests",
    retries=2,
    retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=is_infrastructure,
    persist_result=False,
)
def try_tests(case: SupplementCase, modules: dict[str, str]) -> Trial:
    """Run test modules on the commit and on its parent."""
    subject, context = case.subject, case.context
    with context.slots:
        return cached_trial(subject.runtime, subject.package, subject.instance, modules, context.cache_dir)


@task(
    task_run_name="measure tests",
    retries=2,
    retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=is_infrastructure,
    persist_result=False,
)
def measure_tests(case: SupplementCase, instance: Instance) -> TestQuality:
    """Measure accepted tests against the commit's own change; once per instance, change and tests."""
    subject, context = case.subject, case.context
    tests, patch = generated_tests(subject.package, instance), _gold(subject)
    with context.slots:
        return cached_quality(
            context.store, subject.runtime, subject.package, instance, case.key, patch, tests, instance.commit
        )


@task(task_run_name="{label}", persist_result=False)
def supplement_commit(label: str, case: SupplementCase) -> tuple[Supplement, TestQuality | None]:
    """Supplement one commit and store what came of it; the quality of its tests if some were accepted."""
    subject, context = case.subject, case.context
    with tags(*case.tags):
        found = supplement(subject, CachedTeacher(context), case.attempt)
        context.store.add_supplement(case.key, found)
        if found.instance is None:
            return found, None
        store_files(subject.package, found.files)
        return found, measure_tests(case, found.instance)


class _Question:
    def __init__(self, context: SupplementContext, messages: tuple[Message, ...]) -> None:
        self.context, self.messages = context, messages


@task(task_run_name="ask for tests", persist_result=True, result_serializer="json")
def ask_for_tests(question: _Question) -> str:
    """Ask the teacher; the reply goes to the database, its hash is the result."""
    return question.context.raw.put_text(question.context.teacher.ask(question.messages).model_dump_json())


class CachedTeacher:
    """A teacher whose every answer is a task, kept under who was asked what."""

    def __init__(self, context: SupplementContext) -> None:
        self._desk = context

    @property
    def identity(self) -> str:
        """The teacher's identity."""
        return self._desk.teacher.identity

    @property
    def max_prompt_tokens(self) -> int:
        """The teacher's room."""
        return self._desk.teacher.max_prompt_tokens

    def count(self, text: str) -> int:
        """The teacher's count."""
        return self._desk.teacher.count(text)

    def ask(self, messages: tuple[Message, ...]) -> TeacherReply:
        """The teacher's reply, or the one it gave when the same was asked before, which is not paid for again."""
        context, question = self._desk, _Question(self._desk, messages)
        key = digest("ask-for-tests", context.teacher.identity, prompt_text(messages))
        one = ask_for_tests.with_options(**cache_options(key, context.cache_dir))
        try:
            text = context.raw.get_text(one(question))
        except DatabaseError:  # the engine remembers a reply that this database does not hold
            text = context.raw.get_text(one.with_options(refresh_cache=True)(question))
        return TeacherReply.model_validate_json(text)


def _gold(subject: UntestedInstance) -> Overlay:
    """The commit's own change outside its tests, as files over its parent."""
    gold = read_gold_patch(subject.package.git, subject.instance.commit, subject.instance.base_commit)
    diffs = [diff for change in gold.production for diff in change.diffs()]
    return {d.path: None if d.after is None else (d.after.text.encode(), d.after.executable) for d in diffs}
