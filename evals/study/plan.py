"""What a study asks for: repositories by their part, sizes of training data, seeds."""

import tomllib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name
from pydantic import Field

from evals.study.questions import root_commits
from models.errors import UsageError
from models.plans import Frozen
from repos.git import Git

SPLIT = Path(__file__).parent / "split.toml"
"""The split by repository, decided before anything was measured."""
HELD_OUT_ROOTS = Path(__file__).parent / "held_out_roots.toml"
"""The first commits of what the split holds out."""


class Split(Frozen):
    """Names of repositories by part."""

    training: tuple[str, ...]
    validation: tuple[str, ...]
    held_out: tuple[str, ...]


class StudySettings(Frozen):
    """The parameters of a study besides its repositories.

    rows: sizes of the learning curve, in judgements; the logistic regression gets all that there are in addition.
    seeds: draw the subsets; models get the largest size with the first seed only. commits: the newest kept ones of each
    repository. sample: the questions of each held-out repository that models are asked; those of the learning curve's
    other points `curve_sample`, those of each validation repository `validation_sample` (None: `sample`). recall: what
    the tuned threshold reaches on the validation repositories. least_recall: of relevant candidates, what models'
    offsets are to reach on other repositories (None: they are chosen for balanced accuracy alone). negatives: the
    share of the irrelevant candidates, at random, that a subset of the learning curve has.
    """

    rows: tuple[int, ...] = (500, 2000, 8000)
    seeds: tuple[int, ...] = (0, 1, 2)
    commits: int = Field(100, ge=1)
    sample: int = Field(10, ge=1)
    curve_sample: int = Field(4, ge=1)
    validation_sample: int | None = Field(None, ge=1)
    recall: float = Field(0.90, gt=0, le=1)
    least_recall: float | None = Field(None, gt=0, lt=1)
    negatives: float = Field(1.0, gt=0, le=1, exclude_if=lambda share: share == 1)

    @property
    def asked_of_validation(self) -> int:
        """Questions of each validation repository that models are asked."""
        return self.validation_sample or self.sample


@dataclass(frozen=True)
class StudyRepository:
    """A repository of the study: its name, its clone, the commit it is read at."""

    name: str
    git: Git
    head: str


@dataclass(frozen=True)
class StudyRepositories:
    """Repositories by part; no two parts share one, nor a history."""

    training: tuple[StudyRepository, ...]
    validation: tuple[StudyRepository, ...]
    held_out: tuple[StudyRepository, ...]

    def parts(self) -> list[tuple[str, tuple[StudyRepository, ...]]]:
        """Each part with its name."""
        return [("training", self.training), ("validation", self.validation), ("held-out", self.held_out)]


def default_split() -> Split:
    """The split that comes with the program."""
    return Split.model_validate(tomllib.loads(SPLIT.read_text(encoding="utf-8")))


def held_out_name(git: Git) -> str | None:
    """The repository held out by the default split of which this is a clone, under whatever name; None for others."""
    known = tomllib.loads(HELD_OUT_ROOTS.read_text(encoding="utf-8"))["roots"]
    roots = root_commits(git)
    return next((name for name, commits in known.items() if not roots.isdisjoint(commits)), None)


def check_apart(repositories: StudyRepositories) -> None:
    """Raise UsageError if a part is empty, or if two repositories bear one name or share a first commit."""
    names: dict[str, str] = {}
    roots: dict[str, str] = {}
    for part, members in repositories.parts():
        if not members:
            raise UsageError(f"no {part} repository was given; name some with --{_option(part)}")
        for each in members:
            if each.name in names:
                raise UsageError(f"{each.name} is {names[each.name]} and {part}; give it once")
            names[each.name] = part
            for root in sorted(root_commits(each.git)):
                if root in roots:
                    raise UsageError(
                        f"{each.name} ({part}) and {roots[root]} begin with the same commit {root[:10]}: one is a copy "
                        "of the other; leave one out"
                    )
                roots[root] = f"{each.name} ({part})"


def check_unseen(held_out: Collection[str], learned_from: Collection[str], what: str) -> None:
    """Raise UsageError if `what` learned from a repository that is held out.

    Names are compared by their last component and as those of distributions: `Owner/Some_Name` is `some-name`.
    """
    known = {_plain(name) for name in learned_from}
    if seen := sorted(name for name in held_out if _plain(name) in known):
        raise UsageError(f"{what} learned from {', '.join(seen)}, which is to be held out; give other --held-out")


def find_clones(names: Sequence[str], folders: Sequence[Path]) -> list[tuple[str, Path]]:
    """Each name with its repository: a path as given, or NAME or NAME.git in one of the folders. Raises UsageError."""
    found = []
    for name in names:
        places = [Path(name), *(folder / form for folder in folders for form in (f"{name}.git", name))]
        place = next((each for each in places if each.is_dir()), None)
        if place is None:
            raise UsageError(f"no repository {name!r}; give its path, or its folder with --clones")
        found.append((place.name.removesuffix(".git"), place))
    return found


def _plain(name: str) -> str:
    return str(canonicalize_name(name.rstrip("/").rpartition("/")[2].removesuffix(".git")))


def _option(part: str) -> str:
    return {"training": "repositories"}.get(part, part)
