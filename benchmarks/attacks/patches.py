"""Patches that do not solve the task and try to be judged `passed`, by the real judge over a real repository."""

import functools
from pathlib import Path

from benchmarks.attacks._patch_case import Case
from benchmarks.attacks._patches_before import found_before_the_run
from benchmarks.attacks._patches_in_process import in_process
from benchmarks.attacks._patches_of_answers import by_the_answer, by_the_tests_text
from benchmarks.attacks._patches_of_records import of_records
from benchmarks.attacks._subject import subject
from benchmarks.attacks.base import Attack, GotThrough
from models.outcomes import OutcomeKind


def attacks() -> list[Attack]:
    """One for each patch."""
    cases = [*found_before_the_run(), *in_process(), *by_the_tests_text(), *by_the_answer(), *of_records()]
    return [Attack("patches", case.name, functools.partial(_judge, case), case.residual, index=True) for case in cases]


def _judge(case: Case, scratch: Path) -> str:
    judged = subject()
    verdict = judged.judge(case.commit, case.files(lambda path: judged.base(case.commit, path)))
    if verdict.kind is OutcomeKind.PASSED:
        raise GotThrough(f"judged passed; {verdict.confirmation}")
    return f"{verdict.kind.value}: {' '.join(verdict.detail.split())[:160]}"
