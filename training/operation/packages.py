"""The repo packages that a round may be trained on: those of this machine's corpus, and others of earlier campaigns."""

from pathlib import Path

from evals.sets import copy_of_reserved, reserved_repositories
from harness.packages.contents import package_content
from harness.packages.package import MANIFEST, read_package
from training.cycle.context import TrainingContext


def trainable_packages(context: TrainingContext) -> list[Path]:
    """The packages whose repositories are not reserved, nor copies of reserved ones; of two packages of a repository
    the corpus' own. Raises ManifestError for one that cannot be read."""
    corpus = sorted(path.parent for path in context.settings.corpus.absolute().glob(f"*/{MANIFEST}"))
    held = reserved_repositories(context.curated, context.raw_engine)
    found: dict[str, Path] = {}
    for path in (*corpus, *reversed(context.known_packages())):
        package = read_package(path)
        name = package.manifest.name
        if name in found or name in held:
            continue
        if not copy_of_reserved(context.curated, context.raw_engine, package_content(package)):
            found[name] = path
    return list(found.values())
