"""Instructions and answers: the answer's one Python program becomes a new file."""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from models.training import Pair
from training.data.sources.collections import Dropped
from training.data.sources.open_datasets.conversion import Conversion, NotKept
from training.data.sources.open_datasets.programs import NO_FENCE, OTHER_LANGUAGE, program_in
from training.data.sources.open_datasets.schema import Column, Kind, Misfit, Schema, texts

LEAST_SCORE = 1.0
"""Share of its unit tests that a row of OpenCodeInstruct passes at least."""
LEAST_JUDGEMENT = 5.0
"""Least score, of five, of each judgement. With `LEAST_SCORE`, a public filter kept 444,611 of five million rows."""
_JUDGED = ("requirement_conformance", "logical_correctness", "edge_case_consideration")


def plain(
    task: str, answer: str, *, language: str = "", row: str = "", model: str = "", also: tuple[Column, ...] = ()
) -> Schema:
    """The schema of a dataset whose columns `task` and `answer` hold instruction and answer. `language` names the
    language of a row, `row` is its number, `model` wrote the answers."""
    known = texts(task, answer) + (texts(language) if language else ())
    identity = (Column(row, Kind.INTEGER),) if row else ()

    def convert(values: Mapping[str, Any], conversion: Conversion) -> Pair | Dropped:
        if language and values[language].strip().lower() != "python":
            raise NotKept(OTHER_LANGUAGE)
        return new_program(conversion, values.get(row), values[task], values[answer], model)

    return Schema((*known, *identity, *also), prose=task, code=answer, convert=convert)


def new_program(conversion: Conversion, row: object, task: str, answer: str, model: str = "") -> Pair | Dropped:
    """The pair that writes an answer's program. `row` is the dataset's own number for it, if it has one. Raises
    NotKept."""
    program, reason = program_in(answer)
    if reason:
        raise NotKept(reason)
    digest = hashlib.sha256(f"{task}\0{answer}".encode()).hexdigest()[:16]
    name = digest if row is None else f"{row}-{digest}"
    return conversion.new_program(f"{conversion.source.value}:{name}", task, program, model)


def open_code_instruct(values: Mapping[str, Any], conversion: Conversion) -> Pair | Dropped:
    """A row of OpenCodeInstruct whose tests and judgements are the best there are. Raises NotKept, Misfit."""
    score = _score("average_test_score", values["average_test_score"])
    status = _json("tests_execution_status", values["tests_execution_status"], list)
    judgement = _json("llm_judgement", values["llm_judgement"], dict)
    _json("unit_tests", values["unit_tests"], list)
    if score < LEAST_SCORE or not status or any(each != "pass" for each in status):
        raise NotKept("tests fail")
    if any(_judged(judgement, name) < LEAST_JUDGEMENT for name in _JUDGED):
        raise NotKept("judged too low")
    return new_program(conversion, values["id"], values["input"], values["output"])


OPEN_CODE_INSTRUCT = Schema(
    texts(
        "id", "input", "output", "domain", "generation_algorithm", "llm_judgement", "unit_tests",
        "tests_execution_status", "average_test_score",
    ),
    prose="input", code="output", convert=open_code_instruct,
)  # fmt: skip


def open_coder(values: Mapping[str, Any], conversion: Conversion) -> Pair | Dropped:
    """A row of OpenCoder's second stage: the program of its answer, or the one in the column `code`. Raises NotKept."""
    answer, code = values["output"], values.get("code")
    if code and program_in(answer)[1] == NO_FENCE:
        answer = f"```python\n{code.strip()}\n```"
    return new_program(conversion, values["seq_id"], values["instruction"], answer)


OPEN_CODER = Schema(
    (
        Column("seq_id", Kind.INTEGER),
        *texts("instruction", "output"),
        *texts("tag", "code", "entry_point", required=False),
        Column("testcase", Kind.TEXTS, required=False),
    ),
    prose="instruction", code="output", convert=open_coder,
)  # fmt: skip


def _score(field: str, value: object) -> float:
    """A score that is written as a number or as text."""
    try:
        score = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise Misfit(field, "is no number", value) from None
    if not math.isfinite(score):
        raise Misfit(field, "is no number", value)
    return score


def _json(field: str, text: str, kind: type) -> Any:
    """The list or object that a text holds."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise Misfit(field, "holds no JSON", text) from None
    if not isinstance(value, kind):
        raise Misfit(field, f"holds no JSON {kind.__name__}", text)
    return value


def _judged(judgement: dict[str, Any], name: str) -> float:
    value = judgement.get(name)
    return _score(f"llm_judgement.{name}", value.get("score") if isinstance(value, dict) else value)
