"""What an ablation of windows may train on: nothing that is held out, reserved for evaluation, or measured by."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from evals.sets import all_sets, copy_of_reserved, reserved_repositories
from evals.study.plan import held_out_name
from evals.study.questions import root_commits
from harness.packages.contents import content_of
from harness.packages.prepare import name_of
from models.errors import UsageError
from training.windows.texts import CodeSource

if TYPE_CHECKING:
    from store.database import Engine


def check_apart(learnt: Sequence[CodeSource], measured: Sequence[CodeSource], curated: "Engine", raw: "Engine") -> None:
    """Raise UsageError if a repository to train on is held out, is reserved for evaluation or a copy of what is, has
    items in a frozen set, or is measured by as well."""
    roots = {root: each.name for each in measured for root in root_commits(each.git)}
    reserved = {name for each in all_sets(curated) for name in each.repositories}
    reserved |= reserved_repositories(curated, raw).keys()
    for each in learnt:
        if (name := held_out_name(each.git)) is not None:
            raise UsageError(f"{each.name} is {name}, which is held out: nothing may be trained on it; leave it out")
        if (other := next((roots[root] for root in root_commits(each.git) if root in roots), None)) is not None:
            raise UsageError(f"{each.name} would be trained on, and {other} measured by: one is a copy of the other")
        copied = copy_of_reserved(curated, raw, content_of(each.git, [each.commit]))
        if copied or not reserved.isdisjoint((each.name, name_of(each.git, each.commit, each.name))):
            raise UsageError(
                f"{each.name} is reserved for evaluation{f' ({copied})' if copied else ''}: "
                "nothing may be trained on it; leave it out"
            )
