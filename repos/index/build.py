"""Building a revision's index: parse new content, look up the rest."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from repos.index.cache import IndexCache
from repos.index.parse import GENERATED, MAX_BYTES, form_of, is_binary, parse_content
from repos.index.pieces import Piece
from repos.index.records import Outline, Record, Tokens
from repos.index.repository import IndexedFile, RepositoryIndex
from repos.index.source import RevisionSource, SourceEntry
from repos.index.suite_layout import SuiteLayout, suite_layout
from repos.index.symbols import language_of
from repos.pytest_options import OPTION_FILES
from store.index_cache import PieceKey, RecordKey

_BATCH = 200
_UNREAD = Record.of(Outline(), Tokens(Counter(), Counter(), Counter()), {})
IndexProgress = Callable[[int, int], None]
"""Called with the number of files parsed and the number to parse."""
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def build_index(
    source: RevisionSource, cache: IndexCache | None = None, progress: IndexProgress | None = None
) -> RepositoryIndex:
    """The index of a revision; independent of the cache's content.

    Binary files are left out, and files whose paths contain control characters or line ends: no edit may name them, and
    in a prompt such a path would look like lines of the prompt. Raises InfrastructureError when the cache cannot be
    written, and whatever the source raises.
    """
    entries = [entry for entry in source.files() if not _UNPRINTABLE.search(entry.path)]
    keys = {entry.path: (entry.blob, form_of(entry.path)) for entry in entries}
    read = {key for key in keys.values() if key[1] != GENERATED}
    records = cache.records(read) if cache else {}
    store = _Store(cache) if cache else None
    fresh = _parse(source, read - records.keys(), store, progress)
    if cache and store:
        cache.keep(fresh, store.added)
    records |= fresh
    layout = _layout(source, entries)
    files = {}
    for entry in entries:
        key = keys[entry.path]
        record = records[key] if key[1] != GENERATED else _UNREAD
        if not record.binary:
            files[entry.path] = IndexedFile(entry, language_of(entry.path), record, source, layout)
    return RepositoryIndex(source, files, cache, layout)


def _layout(source: RevisionSource, entries: Sequence[SourceEntry]) -> SuiteLayout:
    blobs = {entry.path: entry.blob for entry in entries if entry.path in OPTION_FILES}
    contents = dict(source.read(sorted(set(blobs.values())), MAX_BYTES)) if blobs else {}
    return suite_layout(lambda name: contents[blobs[name]] if name in blobs else None)


class _Store:
    """Pieces of the cache, and new ones to be stored with the records."""

    def __init__(self, cache: IndexCache) -> None:
        self._cache = cache
        self.added: dict[PieceKey, Piece] = {}

    def find(self, language: str, digests: Sequence[bytes]) -> dict[bytes, Piece]:
        """The requested pieces that are known."""
        found = self._cache.pieces([(language, digest) for digest in digests])
        return {digest: piece for (_, digest), piece in found.items()}

    def add(self, language: str, pieces: Mapping[bytes, Piece]) -> None:
        """Store pieces together with the records."""
        self.added |= {(language, digest): piece for digest, piece in pieces.items()}


def _parse(
    source: RevisionSource, missing: set[RecordKey], store: _Store | None, progress: IndexProgress | None
) -> dict[RecordKey, Record]:
    found: dict[RecordKey, Record] = {}
    blobs: dict[str, list[RecordKey]] = {}
    for key in missing:
        blobs.setdefault(key[0], []).append(key)
    wanted = sorted(blobs)
    for start in range(0, len(wanted), _BATCH):
        for blob, content in source.read(wanted[start : start + _BATCH], MAX_BYTES):
            for key in blobs[blob]:
                found[key] = _record(content, key[1], store)
            if progress:
                progress(len(found), len(missing))
    return found


def _record(content: bytes | None, form: str, store: _Store | None) -> Record:
    if content is None:
        return _UNREAD
    return Record.of_binary() if is_binary(content) else parse_content(content, form, store)
