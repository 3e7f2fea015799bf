"""How many examples each stage wants before the teacher ends: fewest, and as many as are worth having."""

from pydantic import Field, model_validator

from models.plans import Frozen


class ExampleNumbers(Frozen):
    """The fewest examples that a training should have, and the number from which more add little; 0: none is asked."""

    least: int = Field(0, ge=0)
    target: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _in_order(self) -> "ExampleNumbers":
        if self.target < self.least:
            raise ValueError(f"target {self.target} is below least {self.least}")
        return self


def _numbers(least: int, target: int, description: str) -> ExampleNumbers:
    numbers: ExampleNumbers = Field(ExampleNumbers(least=least, target=target), description=description)
    return numbers


class DistillationSettings(Frozen):
    """Numbers of examples by which `cra distill plan` says what the corpus lacks."""

    task_analysis: ExampleNumbers = _numbers(3_000, 5_000, "pairs of task analysis, for an adapter")
    scope: ExampleNumbers = _numbers(2_000, 4_000, "pairs of scope, for an adapter")
    precision: ExampleNumbers = _numbers(3_000, 5_000, "pairs of precision, for an adapter")
    code: ExampleNumbers = _numbers(10_000, 50_000, "pairs of code, for an adapter")
    code_preferences: ExampleNumbers = _numbers(0, 0, "preferences of code")
    meta_plan: ExampleNumbers = _numbers(3_000, 5_000, "meta plans with reasoning, for a base")
    part_plan: ExampleNumbers = _numbers(3_000, 8_000, "part plans with reasoning, for a base")
    test_plan: ExampleNumbers = _numbers(2_000, 5_000, "test plans with reasoning, for a base")
    planning_preferences: ExampleNumbers = _numbers(1_000, 5_000, "preferences of plans, for an adapter")
    style: ExampleNumbers = _numbers(0, 0, "examples of fail-fast style, for a base")
    position: ExampleNumbers = _numbers(0, 0, "examples of positions in the window, for a base")
