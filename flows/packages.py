"""Repo packages named by their folder in this machine's corpus, as deployments name them."""

from collections.abc import Sequence
from pathlib import Path

from harness.packages.package import MANIFEST
from models.errors import UsageError
from models.settings import Settings


def corpus_packages(names: Sequence[str], settings: Settings) -> list[Path]:
    """The folders of packages in the corpus of this machine: those named, or all if none is.

    Raises UsageError for a name that is no folder of the corpus with a manifest, and when there is no package at all.
    """
    corpus = settings.corpus.absolute()
    there = sorted(path.parent for path in corpus.glob(f"*/{MANIFEST}"))
    if not there:
        raise UsageError(
            f"no repo package in {corpus}; make some with `cra prepare PATH_OR_URL --out {corpus}`, take some in with "
            "`cra ingest`, or set CRA_CORPUS_DIR"
        )
    if not names:
        return there
    known = {path.name: path for path in there}
    for name in names:
        if name not in known:
            raise UsageError(f"no repo package {name!r} in {corpus}; there are: {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(names)]
