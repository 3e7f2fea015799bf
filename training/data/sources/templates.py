"""Whether a stored prompt matches the current templates, the only ones with which a student is prompted."""

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import agent.prompts
from agent.prompts import render
from models.chat import Message
from models.edits import EditFormat
from models.judging import AnswerForm
from models.plans import MetaPlan, MetaPlanPart, PartPlan, PlanStep, Target
from models.protocols import Request, Stage, Task

_FOLDER = Path(agent.prompts.__file__).parent
_TASK = re.compile(r"^# Task\n\n(`{3,})text\n(.*?)\n\1$", re.MULTILINE | re.DOTALL)
_QUESTION = "# Your answer"
_PUT_IN = re.compile(r"\{\{.*?\}\}")


def is_current(stage: Stage, messages: Sequence[Message]) -> bool:
    """Whether the system message and the final question match the current templates."""
    if [message.role for message in messages] != ["system", "user"]:
        return False
    asked = messages[1].content
    return messages[0].content in _systems(stage) and all(line.search(asked) for line in _asked(stage))


def task_of(messages: Sequence[Message]) -> str:
    """The task's own words in a prompt; empty if it has none."""
    found = _TASK.search(messages[-1].content) if messages else None
    return found[2] if found else ""


def own_text(messages: Sequence[Message]) -> str:
    """The text of a prompt without its task and the templates' own text."""
    text = _TASK.sub("", messages[-1].content) if messages else ""
    fixed = fixed_lines()
    return "\n".join(line for line in text.splitlines() if line not in fixed)


@lru_cache
def fixed_lines() -> frozenset[str]:
    """All lines of the templates that occur verbatim in prompts."""
    return frozenset(line for path in _FOLDER.glob("*.jinja") for line in _plain(path.read_text()))


@lru_cache
def _asked(stage: Stage) -> tuple[re.Pattern[str], ...]:
    """Patterns of the lines of a stage's question, with wildcards for the template's expressions."""
    _, mark, question = (_FOLDER / f"{stage.value}.jinja").read_text().partition(_QUESTION)
    lines = [line for line in (mark + question).splitlines() if line.strip() and "{%" not in line]
    patterns = (".*?".join(map(re.escape, _PUT_IN.split(line))) for line in lines if mark)
    return tuple(re.compile(f"^{pattern}$", re.MULTILINE | re.DOTALL) for pattern in patterns)


def _plain(template: str) -> list[str]:
    return [line for line in template.splitlines() if line.strip() and "{%" not in line and "{{" not in line]


@lru_cache
def _systems(stage: Stage) -> frozenset[str]:
    part = MetaPlanPart(id="p", title="", description="")
    step = PlanStep(id="s", description="", targets=(Target(path="a.py"),))
    plan = PartPlan(part_id="p", steps=(step,))
    task = Task(text="", repository="", base="")
    return frozenset(
        render(
            Request(
                stage=stage, task=task, meta=MetaPlan(parts=(part,)), part=part, plan=plan, step=step,
                edit_format=edit_format, answers=answers,
            ),
            10**6,
            len,
        )[0].content
        for edit_format in EditFormat
        for answers in AnswerForm
    )  # fmt: skip
