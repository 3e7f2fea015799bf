"""The JSON Schema of each stage's answer, narrowed to the request, for servers with constrained decoding.

Every property is required and none is free, as strict modes demand; lists are bounded, so that generation ends.
"""

from dataclasses import dataclass
from typing import Any

from models.context import Relevance, SymbolUse
from models.judging import AnswerForm
from models.plans import Action, Verdict
from models.protocols import Request, Stage

Schema = dict[str, Any]


@dataclass(frozen=True)
class Bounds:
    """Limits of an answer's texts (characters) and lists."""

    text: int = 1200
    short: int = 200
    parts: int = 8
    steps: int = 12
    targets: int = 12
    names: int = 16
    depends: int = 8


TIGHT = Bounds(text=160, short=48, parts=2, steps=2, targets=1, names=4, depends=0)
"""Bounds that a small model can complete in a few hundred tokens."""
TIGHT_BELOW = 1024


def answer_schema(request: Request, tokens: int) -> Schema | None:
    """The schema of the answer to a request, of at most `tokens`; None for the coder, whose answer is not JSON."""
    if request.stage is Stage.CODE:
        return None
    return _Shapes(request, TIGHT if tokens < TIGHT_BELOW else Bounds()).schema()


@dataclass(frozen=True)
class _Shapes:
    request: Request
    bounds: Bounds

    def schema(self) -> Schema:
        match self.request.stage:
            case Stage.TASK_ANALYSIS:
                names = _list(self.short, self.bounds.names)
                return _object(kind=self.short, summary=self.text, terms=names, files=names, symbols=names)
            case Stage.SCOPE:
                return self.scope()
            case Stage.PRECISION:
                return self.precision()
            case Stage.META_PLAN:
                return _object(rationale=self.text, parts=_list(self.part(), self.bounds.parts))
            case Stage.PART_PLAN:
                return self.steps()
            case Stage.TEST_PLAN:
                return self.steps(covers=_list(self.short, self.bounds.names))
            case Stage.ADJUSTMENT:
                verdicts = _one_of([verdict.value for verdict in Verdict])
                return _object(verdict=verdicts, reason=self.text, parts=_list(self.part(), self.bounds.parts))
            case Stage.CODE:
                raise AssertionError("code is no JSON")

    @property
    def text(self) -> Schema:
        return {"type": "string", "maxLength": self.bounds.text}

    @property
    def short(self) -> Schema:
        return {"type": "string", "maxLength": self.bounds.short}

    def numbered(self, items: int, letters: list[str]) -> Schema:
        return _object(**{str(number): _one_of(letters) for number in range(1, items + 1)})

    def scope(self) -> Schema:
        if self.request.answers is AnswerForm.LETTERS:
            return self.numbered(len(self.request.candidates), [each.letter for each in Relevance])
        relevance = _one_of([each.value for each in Relevance])
        return _object(files=_object(**{candidate.path: relevance for candidate in self.request.candidates}))

    def precision(self) -> Schema:
        if self.request.answers is AnswerForm.LETTERS:
            shown = sum(len(outline.symbols) for outline in self.request.outlines)
            return self.numbered(shown, [use.letter for use in SymbolUse])
        use = _one_of([use.value for use in SymbolUse])
        files = {each.path: _object(**{symbol.name: use for symbol in each.symbols}) for each in self.request.outlines}
        return _object(symbols=_object(**files))

    def steps(self, **more: Schema) -> Schema:
        assert self.request.part is not None
        targets = _list(self.target(), self.bounds.targets, 1)
        step = _object(id=self.short, description=self.text, targets=targets, depends_on=self.ids())
        steps = _list(step, self.bounds.steps)
        return _object(part_id=_one_of([self.request.part.id]), rationale=self.text, steps=steps, **more)

    def part(self) -> Schema:
        targets = _list(self.target(), self.bounds.targets)
        return _object(id=self.short, title=self.short, description=self.text, targets=targets, depends_on=self.ids())

    def target(self) -> Schema:
        place = {"path": self.place(), "symbol": {"anyOf": [self.short, {"type": "null"}]}}
        kept = [action.value for action in Action if action is not Action.RENAME]
        stays = _object(**place, action=_one_of(kept), new_path={"type": "null"})
        moves = _object(**place, action=_one_of([Action.RENAME.value]), new_path=self.place())
        return {"anyOf": [stays, moves]}

    def place(self) -> Schema:
        return {"type": "string", "minLength": 1, "maxLength": max(120, self.bounds.short)}

    def ids(self) -> Schema:
        return _list(self.short, self.bounds.depends)


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
