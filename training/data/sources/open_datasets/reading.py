"""Rows of a dataset in turn: which fit its schema, what they become, and when to stop since the file is another."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from models.edits import EditFormat
from models.errors import CleanRoomError, UsageError
from models.training import Pair
from training.data.sources.collections import Dropped
from training.data.sources.open_datasets.catalogue import OpenDataset
from training.data.sources.open_datasets.conversion import NotKept, check_characters
from training.data.sources.open_datasets.programs import looks_like_code
from training.data.sources.open_datasets.schema import Misfit, Schema

MISFIT = "does not fit the schema"
MOST_MISFITS = 0.01
"""Limit of the share of rows that do not fit, once `JUDGED_FROM` rows were read."""
JUDGED_FROM = 100
_SHOWN = 3
_FEWEST = 10
"""Rows that fit, at least, before columns are taken for confused at the end of a short file."""
_HALF = 0.5


@dataclass
class DatasetReader:
    """Turns rows of a dataset into examples, one by one, and keeps count of them."""

    dataset: OpenDataset
    edit_format: EditFormat
    rows: int = 0
    misfits: int = 0
    first_misfits: list[str] = field(default_factory=list)
    _place: str = ""
    _schema: Schema | None = None
    _fitting: int = 0
    _with_code: Counter[str] = field(default_factory=Counter)
    """How many of the first rows that fit have code in which of the two columns that are easily confused."""

    def read(self, place: str, row: Mapping[str, Any] | None, fault: str = "") -> Pair | Dropped:
        """What a row becomes; `fault` says why there is none. Raises UsageError where too many do not fit."""
        self.rows, self._place = self.rows + 1, place
        try:
            found = self._converted(place, row, fault)
        except Misfit as misfit:
            found = self._misfit(place, str(misfit))
        except NotKept as reason:
            found = Dropped(str(reason), place)
        if self.rows >= JUDGED_FROM and self.misfits > MOST_MISFITS * self.rows:
            raise self._too_many()
        return found

    def finish(self) -> None:
        """Raise UsageError if no row fitted, or if columns are confused in a file of few rows."""
        if self.rows and self.misfits == self.rows:
            raise self._too_many()
        if self._fitting >= _FEWEST:
            self._check_columns()

    def _converted(self, place: str, row: Mapping[str, Any] | None, fault: str) -> Pair | Dropped:
        if row is None:
            return self._misfit(place, fault.removeprefix(place).lstrip(": "))
        schema = self.dataset.schema_of(row)
        for misfit in schema.faults(row):
            raise misfit
        self._fitting, self._schema = self._fitting + 1, schema
        if self._fitting <= JUDGED_FROM:
            self._with_code["prose"] += looks_like_code(row[schema.prose])
            self._with_code["code"] += looks_like_code(row[schema.code])
            if self._fitting == JUDGED_FROM:
                self._check_columns()
        check_characters(row.get(column.name) for column in schema.columns)
        return schema.convert(row, replace(self.dataset.conversion(self.edit_format), place=place))

    def _misfit(self, place: str, fault: str) -> Dropped:
        self.misfits += 1
        if len(self.first_misfits) < _SHOWN:
            self.first_misfits.append(f"{place}: {fault}")
        return Dropped(MISFIT, f"{place}: {fault}")

    def _too_many(self) -> CleanRoomError:
        return UsageError(
            f"{self.misfits} of {self.rows} rows do not fit the schema of {self.dataset.source}: "
            f"{'; '.join(self.first_misfits)}; `cra datasets inspect --from` tells which dataset a file looks like"
        )

    def _check_columns(self) -> None:
        judged = min(self._fitting, JUDGED_FROM)
        code, prose = (self._with_code[each] / judged for each in ("code", "prose"))
        if code < _HALF <= prose and self._schema is not None:
            raise UsageError(
                f"{self._place}: of {judged} rows of {self.dataset.source}, column {self._schema.code} has code in "
                f"{self._with_code['code']} and column {self._schema.prose} in {self._with_code['prose']}; they are "
                "confused: rename the columns in the file"
            )
