"""CommitPackFT: a commit's one file before and after it, as edits that give it byte for byte."""

from collections.abc import Mapping
from typing import Any

from models.errors import EditError
from models.training import Pair
from repos.edit_paths import check_path
from training.data.sources.collections import Dropped
from training.data.sources.open_datasets.conversion import Conversion, NotKept, repository_name
from training.data.sources.open_datasets.licences import row_license
from training.data.sources.open_datasets.programs import OTHER_LANGUAGE
from training.data.sources.open_datasets.schema import Schema, texts

SEVERAL_NAMES = "in repositories of several names"


def commit(values: Mapping[str, Any], conversion: Conversion) -> Pair | Dropped:
    """A row as a change of its file. The same commit may be in several repositories, if all have the same name: one of
    them may be reserved by it. The first one's owner counts. Raises NotKept.
    """
    if values["lang"].strip().lower() != "python":
        raise NotKept(OTHER_LANGUAGE)
    license = row_license(values["license"])
    path = values["new_file"]
    if values["old_file"] != path:
        raise NotKept("renamed")
    checked_path(path)
    repositories = [name.strip() for name in values["repos"].split(",") if name.strip()]
    if not repositories:
        raise NotKept("no repository")
    if len({repository_name(name) for name in repositories}) > 1:
        raise NotKept(SEVERAL_NAMES)
    return conversion.change(
        values["commit"],
        values["message"].strip() or values["subject"],
        values["subject"].strip(),
        path,
        values["old_contents"],
        values["new_contents"],
        repository=repositories[0],
        license=license,
        commit=values["commit"],
    )


def checked_path(path: str) -> None:
    """Raise NotKept for a path that no edit may name."""
    try:
        check_path(path)
    except EditError:
        raise NotKept("path that edits may not name") from None


COMMIT_PACK_FT = Schema(
    texts(
        "commit", "old_file", "new_file", "old_contents", "new_contents", "subject", "message", "lang", "license",
        "repos",
    ),
    prose="message", code="new_contents", convert=commit,
)  # fmt: skip
