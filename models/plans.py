"""Plans: a task becomes parts, a part becomes steps, and both carry dependency edges that must form a DAG."""

from collections.abc import Sequence
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from typing import Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.errors import PlanError


class Frozen(BaseModel):
    """Base of the value types: immutable, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Action(StrEnum):
    """What a step does to its target."""

    CREATE = "create"
    MODIFY = "modify"
    DELETE = "delete"
    RENAME = "rename"


class Target(Frozen):
    """A place in the repository that a step means to touch.

    `path` is relative to the repository root with forward slashes. `symbol` is a qualified name inside the file
    (`Class.method`), or None for the file as a whole. `new_path` is set for a rename only.
    """

    path: str = Field(min_length=1)
    symbol: str | None = None
    action: Action = Action.MODIFY
    new_path: str | None = None

    @model_validator(mode="after")
    def _rename_names_its_goal(self) -> "Target":
        if (self.action is Action.RENAME) != (self.new_path is not None):
            raise ValueError(f"target {self.path!r}: new_path goes with action 'rename' and with no other")
        return self


class _Node(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def depends_on(self) -> tuple[str, ...]: ...


N = TypeVar("N", bound=_Node)


def in_dependency_order(nodes: Sequence[N], what: str) -> list[N]:
    """Nodes so that each comes after what it depends on; ties keep the given order.

    Raises PlanError for a duplicate id, an edge to a node that is not there, and a cycle (which it spells out).
    """
    by_id: dict[str, N] = {}
    for node in nodes:
        if node.id in by_id:
            raise PlanError(f"{what} {node.id!r} appears twice; ids must be unique")
        by_id[node.id] = node
    for node in nodes:
        for dependency in node.depends_on:
            if dependency not in by_id:
                known = ", ".join(by_id) or "none"
                raise PlanError(f"{what} {node.id!r} depends on {dependency!r}, which does not exist (known: {known})")
    sorter = TopologicalSorter({node.id: node.depends_on for node in nodes})
    try:
        sorter.prepare()
    except CycleError as error:
        raise PlanError(f"{what}s depend on each other in a circle: {' -> '.join(reversed(error.args[1]))}") from error
    position = {node.id: index for index, node in enumerate(nodes)}
    ordered: list[N] = []
    ready = sorted(sorter.get_ready(), key=position.__getitem__)
    while ready:
        current = ready.pop(0)
        ordered.append(by_id[current])
        sorter.done(current)
        ready = sorted([*ready, *sorter.get_ready()], key=position.__getitem__)
    return ordered


class MetaPlanPart(Frozen):
    """An independent unit of the task; `targets` are the files (and symbols) it expects to touch."""

    id: str = Field(min_length=1)
    title: str
    description: str
    targets: tuple[Target, ...] = ()
    depends_on: tuple[str, ...] = ()


class MetaPlan(Frozen):
    """A task decomposed into parts. An empty plan is allowed: it changes nothing."""

    rationale: str = ""
    parts: tuple[MetaPlanPart, ...] = ()

    def in_order(self) -> list[MetaPlanPart]:
        """Parts in dependency order; raises PlanError when the edges form no DAG."""
        return in_dependency_order(self.parts, "part")


class PlanStep(Frozen):
    """One change that one call of the coder can make."""

    id: str = Field(min_length=1)
    description: str
    targets: tuple[Target, ...] = Field(min_length=1)
    depends_on: tuple[str, ...] = ()


class PartPlan(Frozen):
    """The implementation steps of one part."""

    part_id: str
    rationale: str = ""
    steps: tuple[PlanStep, ...] = ()

    def in_order(self) -> list[PlanStep]:
        """Steps in dependency order; raises PlanError when the edges form no DAG."""
        return in_dependency_order(self.steps, "step")


class TestPlan(PartPlan):
    """The test steps of one part; `covers` names the symbols that the tests are to exercise."""

    __test__ = False  # not a test class, whatever pytest thinks of the name

    covers: tuple[str, ...] = ()


class Verdict(StrEnum):
    """What an adjustment decides after a part, or after a step that failed its retry."""

    CONTINUE = "continue"
    REVISE = "revise"
    STOP = "stop"


class PlanAdjustment(Frozen):
    """What becomes of the rest of the plan. `parts` replaces the parts not yet begun when the verdict is `revise`."""

    verdict: Verdict
    reason: str
    parts: tuple[MetaPlanPart, ...] = ()

    @model_validator(mode="after")
    def _only_a_revision_has_parts(self) -> "PlanAdjustment":
        if self.parts and self.verdict is not Verdict.REVISE:
            raise ValueError(f"an adjustment that says {self.verdict.value!r} cannot bring new parts")
        return self


class StepStatus(StrEnum):
    """How a step ended."""

    DONE = "done"
    EDIT_REJECTED = "edit-rejected"
    TESTS_FAILED = "tests-failed"
    NOT_RUN = "not-run"


class StepResult(Frozen):
    """The result of a step: its status, the number of attempts, and the feedback to the last one."""

    part_id: str
    step_id: str
    status: StepStatus
    attempts: int
    detail: str = ""
