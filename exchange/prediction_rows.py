"""Predictions read from files in the forms in which agents leave them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from exchange.rows import Row, read_rows, rows_of_lines
from models.errors import UsageError
from models.predictions import Prediction

_PATCHES = ("model_patch", "git_patch", "prediction", "patch")
_MODELS = ("model_name_or_path", "model_name", "model")


def read_predictions(lines: Iterable[str]) -> list[Prediction]:
    """Predictions of JSON lines, blank ones skipped. Raises UsageError, naming line and field, for a bad one."""
    return [_prediction(row) for row in rows_of_lines(lines)]


def read_prediction_file(path: Path) -> list[Prediction]:
    """Predictions of a file in any format of `exchange.rows`: lines, a list, or objects by instance.

    Raises UsageError, naming row and field, for a bad one, and for a file that cannot be read.
    """
    return [_prediction(row) for row in read_rows(path)]


def _prediction(row: Row) -> Prediction:
    if row.value is None:
        raise UsageError(row.fault)
    fields = dict(row.value)
    _take(fields, "model_patch", _PATCHES, fields.get("test_result"))
    _take(fields, "model_name_or_path", _MODELS, None)
    if fields.get("model_name_or_path") is None:
        fields.pop("model_name_or_path", None)
    try:
        prediction = Prediction.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "(the whole line)"
        raise UsageError(f"{row.place}: field {field}: {first['msg']}") from error
    if "model_patch" not in fields:
        raise UsageError(f"{row.place}: field model_patch: is absent; give the patch, or null where there is none")
    return prediction


def _take(fields: dict[str, Any], name: str, spellings: Iterable[str], nested: object) -> None:
    """Put under `name` what is there under another spelling, or in a nested object."""
    places = [fields, nested] if isinstance(nested, dict) else [fields]
    for place in places:
        for spelling in spellings:
            if spelling in place:
                fields[name] = place[spelling]
                return
