"""Edits: the small vocabulary in which a coder changes files."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from models.plans import Frozen


class EditFormat(StrEnum):
    """How a coder writes changes inside a file. Small models do better with whole symbols."""

    SEARCH_REPLACE = "search-replace"
    WHOLE_SYMBOL = "whole-symbol"


class SearchReplace(Frozen):
    """Replace the only occurrence of `search`; an empty `search` fills an empty file."""

    kind: Literal["search-replace"] = "search-replace"
    path: str
    search: str
    replace: str


class SymbolEdit(Frozen):
    """Replace a whole symbol, delete it (`body` is empty), or insert `body` after it.

    `symbol` is a qualified name (`Class.method`); `<module>` means the whole file,
    `<imports>` its first run of imports.
    """

    kind: Literal["symbol"] = "symbol"
    path: str
    symbol: str
    op: Literal["replace", "delete", "insert-after", "insert-before"] = "replace"
    body: str = ""


class CreateFile(Frozen):
    """A new file; it must not exist yet."""

    kind: Literal["create"] = "create"
    path: str
    content: str
    executable: bool = False


class DeleteFile(Frozen):
    """Remove a file that exists."""

    kind: Literal["delete"] = "delete"
    path: str


class RenameFile(Frozen):
    """Move a file; its content is changed by edits of its own, under the new path."""

    kind: Literal["rename"] = "rename"
    path: str
    new_path: str


Edit = Annotated[
    SearchReplace | SymbolEdit | CreateFile | DeleteFile | RenameFile,
    Field(discriminator="kind"),
]
EDITS: TypeAdapter[list[Edit]] = TypeAdapter(list[Edit])


class Rung(StrEnum):
    """The rung of the matching ladder that applied an edit, from literal to lenient."""

    EXACT = "exact"
    INDENT_SHIFT = "indent-shift"
    ELISION = "elision"
    SYMBOL = "symbol"
    FILE = "file"


class EditResult(Frozen):
    """The result of one edit. Exactly one of `rung` and `error` is set; hashes are of the file, None if absent."""

    edit: Edit
    rung: Rung | None = None
    error: str | None = None
    before_hash: str | None = None
    after_hash: str | None = None
