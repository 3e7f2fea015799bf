"""Asking a teacher for the tests that a commit lacks: ask, try, and ask once more with the faults found."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from harness.packages.gold_patch import read_gold_patch
from harness.packages.package import RepoPackage
from harness.supplement.answer import NoTests, read_modules
from harness.supplement.module_paths import place
from harness.supplement.prompt import EarlierAnswer, brief_on, render
from harness.supplement.static_checks import reaches_into_runner
from models.chat import Message, prompt_text
from models.errors import PromptTooLong
from models.generated import GeneratedFile, GeneratedTests
from models.manifest import Instance, InvalidReason, Manifest
from models.supplements import Refusal, Supplement, TeacherReply, TeacherRound, Trial
from repos.git import Git
from repos.index.paths import is_test_path
from runtime.trees import Runtime
from store.texts import sha256

ROUNDS = 2
"""Most answers of a teacher to one commit: the first, and one with the first's faults."""

RESOLVABLE = (InvalidReason.NO_FAIL_TO_PASS, InvalidReason.NO_TESTS)
"""Reasons that generated tests can resolve: the commit runs, but its own tests do not distinguish its parent."""


class Teacher(Protocol):
    """A writer of tests."""

    @property
    def identity(self) -> str:
        """Text that changes whenever the answers may."""
        ...

    @property
    def max_prompt_tokens(self) -> int:
        """Most tokens of a prompt."""
        ...

    def count(self, text: str) -> int:
        """Tokens of a text."""
        ...

    def ask(self, messages: tuple[Message, ...]) -> TeacherReply:
        """One answer. Raises ProviderError, CapReached and PromptTooLong."""
        ...


@dataclass(frozen=True)
class UntestedInstance:
    """An instance that lacks tests, with its package and the resources to run it."""

    runtime: Runtime
    package: RepoPackage
    instance: Instance


TryModules = Callable[[UntestedInstance, Mapping[str, str]], Trial]
"""Tries test modules (path -> text)."""


def untested_instances(manifest: Manifest) -> list[Instance]:
    """Instances that only lack tests that tell them from their parent, in the manifest's order."""
    return [each for each in manifest.instances if each.reason in RESOLVABLE and each.environment is not None]


def supplement(subject: UntestedInstance, teacher: Teacher, attempt: TryModules) -> Supplement:
    """Ask a teacher for an instance's tests and try them.

    A second round follows when nothing was accepted, or only tests that fail on the parent because a name is missing
    rather than by an assertion; the better round is used. Raises what the teacher and the attempt raise.
    """
    git, instance = subject.package.git, subject.instance
    brief = brief_on(git, instance, read_gold_patch(git, instance.commit, instance.base_commit))
    rounds: list[TeacherRound] = []
    before: EarlierAnswer | None = None
    for number in range(1, ROUNDS + 1):
        try:
            messages = render(brief, teacher.max_prompt_tokens, teacher.count, before)
        except PromptTooLong as error:
            rounds.append(TeacherRound(number=number, trial=Trial(refusal=Refusal.PROMPT_TOO_LONG, detail=str(error))))
            break
        rounds.append(_round(number, messages, teacher.ask(messages), subject, attempt))
        if rounds[-1].trial.asserts or rounds[-1].trial.refusal is Refusal.SUITE_BROKEN:
            break
        before = EarlierAnswer(tuple(rounds[-1].files.values()), _wrong(rounds[-1].trial))
    accepted = [each for each in rounds if each.trial.refusal is None]
    if not accepted:
        return Supplement(before=instance, rounds=tuple(rounds))
    taken = max(accepted, key=lambda each: (each.trial.asserts, -each.number))
    return Supplement(
        before=instance, rounds=tuple(rounds), taken=taken.number, instance=_supplemented(instance, taken)
    )


def _round(
    number: int, messages: tuple[Message, ...], reply: TeacherReply, subject: UntestedInstance, attempt: TryModules
) -> TeacherRound:
    prompt = reply.prompt or prompt_text(messages)
    try:
        modules = read_modules(reply.text)
    except NoTests as error:
        trial = Trial(refusal=Refusal.NO_TESTS, detail=str(error))
        return TeacherRound(number=number, prompt=prompt, reply=reply, trial=trial)
    files = _placed(subject.package.git, subject.instance, modules)
    for module in modules:
        if found := reaches_into_runner(module):
            trial = Trial(refusal=Refusal.REACHES_INTO_RUNNER, detail=f"the module uses {found}; tests must not")
            return TeacherRound(number=number, prompt=prompt, reply=reply, files=files, trial=trial)
    return TeacherRound(number=number, prompt=prompt, reply=reply, files=files, trial=attempt(subject, files))


def _placed(git: Git, instance: Instance, modules: tuple[str, ...]) -> dict[str, str]:
    there = [entry.path for entry in git.tree(instance.commit) if is_test_path(entry.path)]
    own = [path for path in instance.test_files if path in there]
    return {place(module, there, own).path: module for module in modules}


def _wrong(trial: Trial) -> str:
    """Feedback to the teacher on its last answer."""
    if trial.refusal is not None:
        return f"{trial.refusal.value}: {trial.detail}"
    how = "\n".join(f"{test.partition('::')[2]}: {how.value}" for test, how in sorted(trial.told_apart.items()))
    return (
        "Without the change the tests fail, but none by an assertion, so they say little about what the code does:\n"
        f"{how}\nLet at least one test fail by an assertion about behaviour."
    )


def _supplemented(instance: Instance, taken: TeacherRound) -> Instance:
    assert taken.reply is not None and instance.reason is not None
    generated = GeneratedTests(
        files=tuple(GeneratedFile(path=path, sha256=sha256(text)) for path, text in sorted(taken.files.items())),
        told_apart=taken.trial.told_apart,
        instead_of=instance.reason.value,
        instead_of_detail=instance.detail,
        model=taken.reply.model,
        prompt_hash=sha256(taken.prompt),
        answer_hash=sha256(taken.reply.text),
        round=taken.number,
    )
    return instance.model_copy(
        update={
            "fail_to_pass": taken.trial.fail_to_pass,
            "pass_to_pass": taken.trial.pass_to_pass,
            "excluded": taken.trial.excluded,
            "reason": None,
            "detail": "",
            "cause": None,
            "generated": generated,
        }
    )
