"""Trajectories of pairs that are synthesized from commits: opened by the hundred, closed without a verdict."""

from collections.abc import Sequence

from sqlalchemy import Engine

from models.training import PairSource
from store.keys import trajectory_key
from store.rows import add, writing
from store.tables import TaskRun
from store.texts import Texts

_AT_ONCE = 500


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
