"""Tasks of the supplement flow: one per commit, which asks the teacher, tries the tests and measures them."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from prefect import tags

from harness.packages.gold_patch import read_gold_patch
from harness.packages.package import generated_tests
from harness.supplement import BY_LOAD, Teacher, UntestedInstance, store_files, supplement, trial_key, try_modules
from harness.test_quality import cached_quality
from models.chat import Message, prompt_text
from models.files import Overlay
from models.manifest import Instance
from models.supplements import Supplement, TeacherReply, Trial
from models.test_quality import TestQuality
from store.keys import canonical
from store.runs import RawStore, digest, instance_key
from store.runs.supplements import SupplementStore
from tasks.caching import kept_text
from tasks.define import engine_task, opaque_argument


@dataclass(frozen=True)
class SupplementContext:
    """The shared context of a run's commits. `slots` limits concurrent test runs."""

    raw: RawStore
    store: SupplementStore
    cache_dir: Path
    teacher: Teacher
    slots: threading.BoundedSemaphore


@dataclass(frozen=True)
class SupplementCase:
    """A commit that lacks tests, with the shared context of the run."""

    subject: UntestedInstance
    context: SupplementContext

    @property
    def label(self) -> str:
        """Display label: repository and commit."""
        return f"{self.subject.package.manifest.name}@{self.subject.instance.commit[:7]} supplement"

    @property
    def tags(self) -> set[str]:
        """Tags for filtering: repository and commit."""
        return {self.subject.package.manifest.name, self.subject.instance.commit[:7]}

    @property
    def key(self) -> str:
        """The key of the instance without generated tests."""
        return instance_key(self.subject.package.manifest.name, self.subject.instance)

    def attempt(self, subject: UntestedInstance, modules: Mapping[str, str]) -> Trial:
        """Try test modules in a task; an earlier trial is reused, unless machine load may have affected it."""
        context, what = self.context, (subject.runtime, subject.package, subject.instance, modules)
        tried: list[Trial] = []

        def run() -> str:
            with context.slots:
                tried.append(try_modules(*what))
            return context.raw.put_text(canonical(tried[-1]))

        key, ran = trial_key(*what), opaque_argument(run)
        trial = Trial.model_validate_json(kept_text(try_tests, key, context.raw, context.cache_dir, ran))
        if trial.refusal in BY_LOAD and not tried:
            anew = try_tests.with_options(refresh_cache=True)
            trial = Trial.model_validate_json(kept_text(anew, key, context.raw, context.cache_dir, ran))
        return trial


@engine_task("try tests", keep_result=True)
def try_tests(run: Callable[[], str]) -> str:
    """Run test modules on the commit and on its parent; the trial goes to the database, its hash is the
    result."""
    return run()


@engine_task("measure tests")
def measure_tests(case: SupplementCase, instance: Instance) -> TestQuality:
    """Measure accepted tests against the commit's own change; once per instance, change and tests."""
    subject, context = case.subject, case.context
    tests, patch = generated_tests(subject.package, instance), _gold(subject)
    with context.slots:
        return cached_quality(
            context.store, subject.runtime, subject.package, instance, case.key, patch, tests, instance.commit
        )


@engine_task("{label}", retries=0)
def supplement_commit(label: str, case: SupplementCase) -> tuple[Supplement, TestQuality | None]:
    """Supplement one commit and store the result, with the quality of its tests if some were accepted."""
    subject, context = case.subject, case.context
    with tags(*case.tags):
        found = supplement(subject, CachedTeacher(context), case.attempt)
        context.store.add_supplement(case.key, found)
        if found.instance is None:
            return found, None
        store_files(subject.package, found.files)
        return found, measure_tests(opaque_argument(case), found.instance)


@engine_task("ask for tests", retries=0, keep_result=True)
def ask_for_tests(ask: Callable[[], str]) -> str:
    """Ask the teacher; the reply goes to the database, its hash is the result."""
    return ask()


@dataclass(frozen=True)
class CachedTeacher:
    """A teacher whose answers are tasks, cached by the teacher's identity and the question."""

    context: SupplementContext

    @property
    def identity(self) -> str:
        """The teacher's identity."""
        return self.context.teacher.identity

    @property
    def max_prompt_tokens(self) -> int:
        """The teacher's token limit of a prompt."""
        return self.context.teacher.max_prompt_tokens

    def count(self, text: str) -> int:
        """The teacher's count of a text's tokens."""
        return self.context.teacher.count(text)

    def ask(self, messages: tuple[Message, ...]) -> TeacherReply:
        """The teacher's reply, or its cached reply to the same question, which costs nothing."""
        raw, teacher = self.context.raw, self.context.teacher
        key = digest("ask-for-tests", teacher.identity, prompt_text(messages))
        ask = opaque_argument(lambda: raw.put_text(teacher.ask(messages).model_dump_json()))
        return TeacherReply.model_validate_json(kept_text(ask_for_tests, key, raw, self.context.cache_dir, ask))


def _gold(subject: UntestedInstance) -> Overlay:
    """The commit's own change outside its tests, as files over its parent."""
    gold = read_gold_patch(subject.package.git, subject.instance.commit, subject.instance.base_commit)
    diffs = [diff for change in gold.production for diff in change.diffs()]
    return {d.path: None if d.after is None else (d.after.text.encode(), d.after.executable) for d in diffs}
