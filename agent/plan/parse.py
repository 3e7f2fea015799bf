"""Plans read from the JSON a planning stage answers with; prose around it is tolerated, a bad plan is not."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from agent.code.paths import check_path
from models.errors import EditError, PlanError
from models.plans import Frozen, MetaPlan, MetaPlanPart, PartPlan, PlanAdjustment, PlanStep, Target, TestPlan

_FENCED = re.compile(r"^(`{3,})(?:json)?[ \t\r]*\n(.*?)^\1[ \t\r]*$", re.MULTILINE | re.DOTALL)
_MOST_BRACES = 200
"""Braces in prose that open no JSON object, after which an answer is given up: each may cost a read to its end."""
M = TypeVar("M", bound=Frozen)


def parse_meta_plan(text: str) -> MetaPlan:
    """The meta plan in an answer.

    Raises PlanError, one line, for bad JSON, a wrong shape, a cycle, an unknown id, a path outside the tree.
    """
    plan = _model(MetaPlan, text, "parts")
    plan.in_order()
    _check_targets(plan.parts)
    return plan


def parse_part_plan(text: str, part: MetaPlanPart) -> PartPlan:
    """The steps of `part` in an answer; raises PlanError as for a meta plan, and for another part's plan."""
    return _part_plan(PartPlan, text, part)


def parse_test_plan(text: str, part: MetaPlanPart) -> TestPlan:
    """The test steps of `part` in an answer; raises PlanError as `parse_part_plan` does."""
    return _part_plan(TestPlan, text, part)


def parse_adjustment(text: str, begun: Sequence[MetaPlanPart] = ()) -> PlanAdjustment:
    """What an answer makes of the rest of the plan. New parts may depend on those already begun.

    Raises PlanError as `parse_meta_plan` does; ids of parts that were begun are taken.
    """
    adjustment = _model(PlanAdjustment, text, "verdict")
    MetaPlan(parts=(*begun, *adjustment.parts)).in_order()
    _check_targets(adjustment.parts)
    return adjustment


P = TypeVar("P", bound=PartPlan)


def _part_plan(kind: type[P], text: str, part: MetaPlanPart) -> P:
    plan = _model(kind, text, "steps")
    if plan.part_id != part.id:
        raise PlanError(f"the plan is for part {plan.part_id!r}, but part {part.id!r} was asked for")
    plan.in_order()
    _check_targets(plan.steps)
    return plan


def _check_targets(nodes: Iterable[MetaPlanPart | PlanStep]) -> None:
    for node in nodes:
        for target in node.targets:
            try:
                _check_target(target)
            except EditError as error:
                raise PlanError(f"{node.id!r}: {error}") from error


def _check_target(target: Target) -> None:
    check_path(target.path)
    if target.new_path is not None:
        check_path(target.new_path)


def _model(kind: type[M], text: str, required: str) -> M:
    """The answer as `kind`; `required` must be said, even where it has a default: `{}` is no plan."""
    value = _json_object(text, kind.__name__)
    if required not in value:
        raise PlanError(f"not a {kind.__name__}: {required}: Field required, though it may be empty")
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the answer"
        message = first["msg"].removeprefix("Value error, ")
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise PlanError(_one_line(f"not a {kind.__name__}: {place}: {message}{more}")) from error


def _json_object(text: str, what: str) -> dict[str, Any]:
    """The one JSON object of an answer: the whole of it, the one in a fence, or the one in the prose."""
    stripped = text.strip()
    if stripped.startswith("{") and stripped.endswith("}"):
        candidates = [stripped]
    else:
        fenced = [match[2].strip() for match in _FENCED.finditer(text)]
        candidates = [block for block in fenced if block.startswith("{")] or _objects_in(text)
    if len(candidates) != 1:
        raise PlanError(f"expected one JSON object ({what}) in the answer, found {len(candidates)}")
    try:
        value = json.loads(candidates[0], object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise PlanError("the answer holds half a surrogate pair; write the character itself") from error
    except (ValueError, RecursionError) as error:
        raise PlanError(_one_line(f"the answer is not valid JSON: {error}")) from error
    if not isinstance(value, dict):
        raise PlanError(f"expected a JSON object ({what}), found {type(value).__name__}")
    return value


def _objects_in(text: str) -> list[str]:
    """Texts of the outermost JSON objects that stand in prose."""
    decoder, found, position = json.JSONDecoder(), [], text.find("{")
    failures = 0
    while position >= 0 and failures < _MOST_BRACES:
        try:
            _, end = decoder.raw_decode(text, position)
            found.append(text[position:end])
        except (ValueError, RecursionError):
            end = position + 1
            failures += 1
        position = text.find("{", end)
    return found


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {next(key for key in keys if keys.count(key) > 1)!r} appears twice in one object")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _one_line(message: str) -> str:
    return " ".join(message.split())[:500]
