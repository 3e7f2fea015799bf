"""Comparisons from campaigns: an attempt that passed hidden tests against one that failed, at the same instance.

Only models' attempts count: gold would teach what people's code looks like. Nothing of the tests is shown.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from evals.critic.parts import part_of
from models.comparisons import Comparison, Criterion
from models.training import content_hash_of
from store.database import reading
from store.runs.closed_runs import ClosedRun, campaign_ids
from store.runs.corpus import read_contents
from store.runs.patches import read_closed_patches
from training.data.sources.collections import Dropped, Offered
from training.data.sources.comparisons.shown import shown_patch
from training.data.sources.reading import is_text

if TYPE_CHECKING:
    from models.content import RepositoryContent
    from store.database import Engine

PER_INSTANCE = 4
"""Most comparisons of one instance, so that none with many samples fills the collection."""
EVIDENCE = "hidden tests: passed against failed"
_NO_MODEL = ("gold", "null")
Attempt = tuple[ClosedRun, str]


def attempt_offers(
    raw: "Engine", names: Collection[str], contents: "dict[str, RepositoryContent]"
) -> Iterator[list[Offered]]:
    """What each instance of campaigns (labels or keys) gives; the contents of their repositories are added to
    `contents`. Raises UsageError for a campaign that was not run."""
    with reading(raw) as connection:
        campaigns = campaign_ids(connection, names)
        attempts: dict[str, list[Attempt]] = defaultdict(list)
        for run, patch in read_closed_patches(connection, campaigns):
            if run.planner not in _NO_MODEL:
                attempts[run.instance_key].append((run, patch))
        known = dict(read_contents(connection))
    for _, found in sorted(attempts.items()):
        name = found[0][0].repository
        if name in known:
            contents[name] = known[name]
        yield _of_instance(found, known[name].roots if name in known else ())


def _of_instance(found: list[Attempt], roots: Collection[str]) -> list[Offered]:
    label = found[0][0].instance.instance_id
    passed = [each for each in found if each[0].passed and each[1].strip()]
    failed = [each for each in found if each[0].outcome.failed and each[0].outcome.trains and each[1].strip()]
    if not passed or not failed:
        return [Dropped("instance: no attempt with a change passed, or none failed", label)]
    task = found[0][0].instance.task
    made: dict[str, Comparison] = {}
    for run, patch in passed:
        for _, other in failed:
            better, worse = shown_patch(patch), shown_patch(other)
            if better.split() == worse.split() or not is_text(task, better, worse) or not task.strip():
                continue
            made.setdefault(
                content_hash_of([better, worse]),
                Comparison(
                    criterion=Criterion.TASK,
                    part=part_of({run.repository}, roots),
                    task=task,
                    place="",
                    better=better,
                    worse=worse,
                    evidence=EVIDENCE,
                    provenance=run.provenance(0, "", None),
                ),
            )
    if not made:
        return [Dropped("instance: what is shown of its attempts is the same", label)]
    kept = [made[key] for key in sorted(made)]
    return [*kept[:PER_INSTANCE], *(Dropped("instance: enough of its attempts", label) for _ in kept[PER_INSTANCE:])]
