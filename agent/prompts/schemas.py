"""The JSON Schema of each stage's answer, narrowed to what was asked, for servers that can hold a model to one.

Every property is required and none is free, as strict modes demand; lists are bounded, so that an answer ends.
"""

from typing import Any

from models.context import Relevance, SymbolUse
from models.plans import Action, Verdict
from models.protocols import Request, Stage

Schema = dict[str, Any]
MOST_PARTS = 8
MOST_STEPS = 12
MOST_TARGETS = 12
MOST_NAMES = 16
_TEXT: Schema = {"type": "string", "maxLength": 1200}
_SHORT: Schema = {"type": "string", "maxLength": 200}


def answer_schema(request: Request) -> Schema | None:
    """The schema of the answer to a request; None for the coder, whose answer is no JSON."""
    match request.stage:
        case Stage.TASK_ANALYSIS:
            names = _list(_SHORT, MOST_NAMES)
            return _object(kind=_SHORT, summary=_TEXT, terms=names, files=names, symbols=names)
        case Stage.SCOPE:
            paths = [candidate.path for candidate in request.candidates]
            judgement = _object(path=_one_of(paths), relevance=_one_of([r.value for r in Relevance]), reason=_SHORT)
            return _object(files=_list(judgement, len(paths)))
        case Stage.PRECISION:
            return _precision(request)
        case Stage.META_PLAN:
            return _object(rationale=_TEXT, parts=_list(_part(), MOST_PARTS))
        case Stage.PART_PLAN:
            return _steps(request)
        case Stage.TEST_PLAN:
            return _steps(request, covers=_list(_SHORT, MOST_NAMES))
        case Stage.ADJUSTMENT:
            verdicts = _one_of([verdict.value for verdict in Verdict])
            return _object(verdict=verdicts, reason=_TEXT, parts=_list(_part(), MOST_PARTS))
        case Stage.CODE:
            return None


def _precision(request: Request) -> Schema:
    pairs = [(outline.path, symbol.name) for outline in request.outlines for symbol in outline.symbols]
    judgement = _object(
        path=_one_of(sorted({path for path, _ in pairs})),
        symbol=_one_of(sorted({symbol for _, symbol in pairs})),
        use=_one_of([use.value for use in SymbolUse]),
    )
    return _object(symbols=_list(judgement, len(pairs)))


def _steps(request: Request, **more: Schema) -> Schema:
    assert request.part is not None
    step = _object(id=_SHORT, description=_TEXT, targets=_list(_target(), MOST_TARGETS, 1), depends_on=_ids())
    return _object(part_id=_one_of([request.part.id]), rationale=_TEXT, steps=_list(step, MOST_STEPS), **more)


def _part() -> Schema:
    targets = _list(_target(), MOST_TARGETS)
    return _object(id=_SHORT, title=_SHORT, description=_TEXT, targets=targets, depends_on=_ids())


def _target() -> Schema:
    place = {"path": _SHORT, "symbol": {"anyOf": [_SHORT, {"type": "null"}]}}
    kept = [action.value for action in Action if action is not Action.RENAME]
    stays = _object(**place, action=_one_of(kept), new_path={"type": "null"})
    moves = _object(**place, action=_one_of([Action.RENAME.value]), new_path=_SHORT)
    return {"anyOf": [stays, moves]}


def _ids() -> Schema:
    return _list(_SHORT, MOST_PARTS)


def _object(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _list(items: Schema, most: int, least: int = 0) -> Schema:
    return {"type": "array", "items": items, "minItems": least, "maxItems": most}


def _one_of(values: list[str]) -> Schema:
    return {"type": "string", "enum": list(dict.fromkeys(values))}
