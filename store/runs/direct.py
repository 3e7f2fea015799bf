"""Trajectories of pairs that are synthesized from commits: opened by the hundred, stored whole, without a verdict."""

from collections.abc import Callable, Iterable, Sequence

from sqlalchemy import Engine, select, update

from models.outcomes import OutcomeKind
from models.protocols import Recorder
from models.training import PairSource
from store.database import reading
from store.keys import trajectory_key
from store.leases import give_back
from store.rows import add, record, writing
from store.runs.recorder import AttemptRecorder
from store.tables import OutcomeRow, TaskRun, table_of, utc_now
from store.texts import Texts

_AT_ONCE = 500
_TRAJECTORIES = table_of(TaskRun)


def open_direct(
    raw: Engine, campaign_id: str, instances: Sequence[str], planner: str, identity: str, samples: Sequence[int]
) -> dict[tuple[str, int], str]:
    """Record the trajectories of instances (by key), one for each sample; their keys by instance and sample.

    Those that are recorded already stay as they are.
    """
    keys = {
        (instance, sample): trajectory_key(campaign_id, instance, planner, identity, 0.0, sample)
        for instance in instances
        for sample in samples
    }
    rows = sorted(keys.items(), key=lambda item: item[1])
    for start in range(0, len(rows), _AT_ONCE):
        texts = Texts()
        planner_hash = texts.add(identity)
        with writing(raw, texts) as connection:
            for (instance, sample), key in rows[start : start + _AT_ONCE]:
                row = TaskRun(
                    campaign_id=campaign_id,
                    id=key,
                    instance_id=instance,
                    planner=planner,
                    planner_hash=planner_hash,
                    temperature=0.0,
                    sample=sample,
                    source=PairSource.SYNTHETIC_DIRECT.value,
                )
                add(connection, row)
    return keys


def store_direct(
    raw: Engine, trajectory: str, events: Iterable[Callable[[Recorder], None]], kind: OutcomeKind, detail: str
) -> bool:
    """Store a trajectory's only attempt from its beginning to its outcome, in one transaction, and end its lease.

    A process that is killed leaves nothing of it, so that the next one stores the very same rows. Returns False, and
    stores nothing, if another process has closed the trajectory.
    """
    with reading(raw) as connection:
        run = connection.execute(select(_TRAJECTORIES).where(_TRAJECTORIES.c.id == trajectory)).mappings().one()
    attempt, campaign = run["attempts"] + 1, run["campaign_id"]
    recorder = AttemptRecorder(raw, campaign, trajectory, attempt, buffered=True)
    for event in events:
        event(recorder)
    texts, rows = recorder.waiting()
    outcome = OutcomeRow(
        campaign_id=campaign,
        task_run_id=trajectory,
        attempt=attempt,
        kind=kind.value,
        blame=kind.blame.value,
        oracle=None,
        validation_id=None,
        patch_hash=texts.add(""),
        alignment=None,
        detail=detail,
        seconds=0.0,
    )
    closing = (
        update(_TRAJECTORIES)
        .where(_TRAJECTORIES.c.id == trajectory, _TRAJECTORIES.c.attempts == run["attempts"])
        .where(_TRAJECTORIES.c.closed_at.is_(None))
        .values(
            attempts=attempt,
            closed_at=utc_now(),
            closed_attempt=attempt,
            outcome=kind.value,
            success=kind.succeeded,
        )
    )
    with writing(raw, texts) as connection:
        closed = connection.execute(closing).rowcount > 0
        for row in [*rows, outcome] if closed else []:
            record(connection, row)
        give_back(connection, [trajectory])
    return closed
