"""What an arriving repository may be used for: reserved ones for evaluation only, and copies of them for nothing."""

from typing import TYPE_CHECKING, Literal

from evals.sets import copy_of_reserved, first_copy_of_reserved, reserved, reserved_repositories
from harness.packages.contents import contents_along, package_content, shared_content
from harness.packages.package import RepoPackage
from models.errors import PackageRefused
from models.intake import RefusalReason
from store.learning.reservations import reserved_contents

if TYPE_CHECKING:
    from store.database import Engine


def use_of(curated: "Engine", raw: "Engine", package: RepoPackage) -> Literal["training", "evaluation"]:
    """The use of an arriving package: evaluation for a reserved repository, which no training reads; else training.

    Raises PackageRefused for a copy of a reserved repository under another name, because it would bring held-out
    commits into the training data, and for another repository under a reserved name.
    """
    name, content = package.manifest.name, package_content(package)
    if name in reserved(curated):
        known = [each for held, each in reserved_contents(curated) if held == name]
        if known and not any(shared_content(content, each) for each in known):
            raise PackageRefused(
                RefusalReason.NAME_TAKEN, f"{name} is reserved for evaluation, and this is another repository"
            )
        return "evaluation"
    if why := reserved_repositories(curated, raw).get(name):
        raise PackageRefused(RefusalReason.RESERVED_COPY, f"{name} is held out: {why}")
    if why := copy_of_reserved(curated, raw, content):
        raise PackageRefused(RefusalReason.RESERVED_COPY, f"{name} is held out: {why}")
    if why := first_copy_of_reserved(curated, raw, contents_along(package)):
        raise PackageRefused(RefusalReason.RESERVED_COPY, f"{name} is held out in the middle of its history: {why}")
    return "training"
