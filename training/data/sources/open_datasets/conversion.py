"""From a row to an example: what its dataset says of it, the reasons for leaving it out, and the pair."""

from collections.abc import Iterable
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from models.edits import EditFormat
from models.errors import CleanRoomError
from models.training import Pair, PairSource
from store.runs.closed_runs import UNKNOWN
from training.data.sources.coding import code_pair
from training.data.sources.collections import Dropped, recipe_provenance
from training.data.sources.open_datasets.programs import MOST_CHARACTERS, MOST_LINES, is_python
from training.data.sources.reading import is_text

NEW_FILE = "solution.py"


class NotKept(CleanRoomError):
    """A row that fits its schema and is left out on purpose; the message is the reason under which it is counted."""


@dataclass(frozen=True)
class Conversion:
    """The dataset of a row (`publisher` is `owner/name`, `license` that of its rows unless they have their own), the
    place of the row, and the format of the edits."""

    source: PairSource
    publisher: str
    license: str
    edit_format: EditFormat
    place: str = ""

    def new_program(self, row: str, task: str, program: str, model: str = "") -> Pair | Dropped:
        """The pair that writes a program from a task. Raises NotKept."""
        return self.change(
            row, task, task.strip().partition("\n")[0], NEW_FILE, None, program,
            repository=None, license=self.license, model=model,
        )  # fmt: skip

    def change(
        self,
        row: str,
        task: str,
        step: str,
        path: str,
        before: str | None,
        after: str,
        *,
        repository: str | None,
        license: str,
        commit: str = "",
        model: str = "",
    ) -> Pair | Dropped:
        """The pair that turns a file from `before` into `after`, a program that parses. Raises NotKept.

        `repository` is `owner/name`, or None for what is of no repository: its provenance then has the name of the
        dataset and no organisation, since who published a dataset owns no code in it.
        """
        if not task.strip():
            raise NotKept("no task")
        if not after.strip():
            raise NotKept("no program")
        if before == after:
            raise NotKept("nothing changes")
        if max(len(task), len(before or ""), len(after)) > MOST_CHARACTERS:
            raise NotKept(f"over {MOST_CHARACTERS} characters")
        if max((before or "").count("\n"), after.count("\n")) > MOST_LINES:
            raise NotKept(f"over {MOST_LINES} lines")
        if not is_python(after):
            raise NotKept("program does not parse")
        provenance = recipe_provenance(
            self.source,
            row,
            repository=repository_name(repository or self.publisher),
            organisation=_owner(repository),
            domain=UNKNOWN,
            license=license,
            commit=commit,
            model=model,
        )
        pair = code_pair(self.source, task.strip(), step, path, before, after, provenance, self.edit_format)
        return pair if isinstance(pair, Pair) else Dropped(pair.reason, self.place)


def repository_name(repository: str) -> str:
    """The name in `owner/name` as packages have it (lower case, one `-` for runs of `-_.`), by which repositories are
    reserved."""
    return canonicalize_name(repository.rstrip("/").rpartition("/")[2])


def _owner(repository: str | None) -> str:
    owner, _, name = (repository or "").partition("/")
    return owner.lower() if owner and name else UNKNOWN


def check_characters(values: Iterable[object]) -> None:
    """Raise NotKept for texts, or lists and objects of texts, that hold what no file may: a NUL, half a surrogate
    pair."""
    for value in values:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else (value,)
        text = "".join(each for each in inner if isinstance(each, str))
        if "\0" in text:
            raise NotKept("NUL character")
        if not is_text(text):
            raise NotKept("half a surrogate pair")
