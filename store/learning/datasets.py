"""Datasets by content: what they were made of, and which of them trainings used."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, select, true

from models.training import TrainingTarget
from store.database import chunks, reading
from store.rows import add_in_sequence, in_sequence, newest_first, writing
from store.tables import TrainingDataset, TrainingPlan, TrainingRun, table_of
from store.texts import Texts, read_texts

CONSIDERED = "considered"
"""The key in a dataset's configuration whose value is the hash of a text: the ids of all candidate examples."""
MIXTURE = "mixture"
"""The stage of a mixture of datasets."""
_REPOSITORIES = "repositories"
_DATASETS, _PLANS, _RUNS = table_of(TrainingDataset), table_of(TrainingPlan), table_of(TrainingRun)
_NEWEST_FIRST = newest_first(_DATASETS)


def add_dataset(
    raw: Engine,
    dataset: str,
    target: TrainingTarget,
    *,
    source: str,
    examples: int,
    config: Mapping[str, Any],
    repositories: Collection[str],
    content: str,
    considered: str,
) -> None:
    """Store a dataset (its id), unless it is stored. `content` is its card as text, `considered` the text whose hash
    its configuration holds under `CONSIDERED`."""
    texts = Texts()
    texts.add(considered)
    row = TrainingDataset(
        id=dataset,
        stage=target.value,
        source=source,
        examples=examples,
        config={**config, _REPOSITORIES: sorted(repositories)},
        content_hash=texts.add(content),
    )
    with writing(raw, texts) as connection:
        add_in_sequence(connection, row)


def add_mixture(
    raw: Engine,
    mixture: str,
    *,
    source: str,
    examples: int,
    config: Mapping[str, Any],
    repositories: Collection[str],
    content: str,
) -> None:
    """Store a mixture of datasets (its id) for a base's full fine-tune, unless it is stored. It is no dataset of any
    target, but its repositories count as trained on once a training refers to it."""
    texts = Texts()
    row = TrainingDataset(
        id=mixture,
        stage=MIXTURE,
        source=source,
        examples=examples,
        config={**config, _REPOSITORIES: sorted(repositories)},
        content_hash=texts.add(content),
    )
    with writing(raw, texts) as connection:
        add_in_sequence(connection, row)


def newest_dataset_id(raw: Engine, target: TrainingTarget) -> str | None:
    """The newest dataset of a target."""
    query = select(_DATASETS.c.id).where(_DATASETS.c.stage == target.value).order_by(*_NEWEST_FIRST)
    with reading(raw) as connection:
        return connection.scalars(query).first()


def datasets_since(raw: Engine, since: datetime | None) -> list[tuple[str, str]]:
    """Datasets (id and target) made at or after a time (None: all), the newest first. Mixtures are made of these."""
    query = select(_DATASETS.c.id, _DATASETS.c.stage).where(_DATASETS.c.stage != MIXTURE).order_by(*_NEWEST_FIRST)
    if since is not None:
        query = query.where(_DATASETS.c.created_at >= since)
    with reading(raw) as connection:
        return [(dataset, stage) for dataset, stage in connection.execute(query)]


def trained_datasets(raw: Engine, target: TrainingTarget, base: str | None = None) -> dict[str, str]:
    """Datasets of a target that a training on a base used (its hash; None: any base), the oldest first, each with the
    text of its candidate ids; those without such a text are left out."""
    used = select(_PLANS.c.dataset_id).where(true() if base is None else _PLANS.c.base == base)
    query = select(_DATASETS.c.id, _DATASETS.c.config).where(
        _DATASETS.c.stage == target.value, _DATASETS.c.id.in_(used)
    )
    with reading(raw) as connection:
        rows = {
            row.id: row.config.get(CONSIDERED) for row in connection.execute(query.order_by(*in_sequence(_DATASETS)))
        }
        texts = read_texts(connection, [key for key in rows.values() if key])
    return {dataset: texts[key] for dataset, key in rows.items() if key}


def trained_before(raw: Engine, dataset: str, target: TrainingTarget, base: str) -> list[str]:
    """Datasets of a target that were stored before this one and that a training on a base (its hash) used."""
    number = in_sequence(_DATASETS)[0]
    made = select(number).where(_DATASETS.c.id == dataset).scalar_subquery()
    query = (
        select(_DATASETS.c.id)
        .join(_PLANS, _PLANS.c.dataset_id == _DATASETS.c.id)
        .where(
            _DATASETS.c.stage == target.value,
            _DATASETS.c.id != dataset,
            _PLANS.c.base == base,
            number < made,
        )
        .distinct()
        .order_by(_DATASETS.c.id)
    )
    with reading(raw) as connection:
        return list(connection.scalars(query))


def datasets_of_trainings(raw: Engine) -> set[str]:
    """Datasets and mixtures that a training, finished or begun, refers to."""
    with reading(raw) as connection:
        return set(connection.scalars(select(_PLANS.c.dataset_id).distinct()))


def finished_datasets(raw: Engine) -> set[str]:
    """Datasets that were trained on, whose trainings are all finished, and that are not the newest of their target."""
    unfinished = select(_PLANS.c.dataset_id).where(_PLANS.c.id.not_in(select(_RUNS.c.plan_id)))
    with reading(raw) as connection:
        open_ones = set(connection.scalars(unfinished))
    newest = {newest_dataset_id(raw, target) for target in TrainingTarget}
    return datasets_of_trainings(raw) - open_ones - newest


def superseded_datasets(raw: Engine) -> set[str]:
    """Datasets on record, mixtures left out, of whose target and base a newer one was trained on since."""
    trained = datasets_of_trainings(raw)
    query = select(_DATASETS.c.id, _DATASETS.c.stage, _DATASETS.c.config).where(_DATASETS.c.stage != MIXTURE)
    replaced, found = set[tuple[str, Any]](), set[str]()
    with reading(raw) as connection:
        for row in connection.execute(query.order_by(*_NEWEST_FIRST)):
            kind = row.stage, row.config.get("base")
            if kind in replaced:
                found.add(row.id)
            if row.id in trained:
                replaced.add(kind)
    return found


def mixed_datasets(raw: Engine) -> set[str]:
    """Datasets that a mixture was made of."""
    with reading(raw) as connection:
        rows = connection.scalars(select(_DATASETS.c.config).where(_DATASETS.c.stage == MIXTURE)).all()
    return {dataset for config in rows for dataset in config.get("datasets", ())}


def trained_repositories(raw: Engine) -> dict[str, str]:
    """Repositories that trainings used, each with the id of such a dataset.

    A dataset that no training refers to was never trained on.
    """
    query = (
        select(_DATASETS.c.id, _DATASETS.c.config)
        .join(_PLANS, _PLANS.c.dataset_id == _DATASETS.c.id)
        .order_by(*_NEWEST_FIRST)
    )
    with reading(raw) as connection:
        rows = connection.execute(query).all()
    return {str(name): dataset for dataset, config in rows for name in config.get(_REPOSITORIES, ())}


def dataset_repositories(raw: Engine, datasets: Collection[str]) -> dict[str, list[str]]:
    """The repositories of each of these datasets that is stored."""
    with reading(raw) as connection:
        return {
            row.id: list(row.config.get(_REPOSITORIES, ()))
            for part in chunks(datasets)
            for row in connection.execute(select(_DATASETS.c.id, _DATASETS.c.config).where(_DATASETS.c.id.in_(part)))
        }


def curated_from(raw: Engine, repositories: Collection[str]) -> dict[str, str]:
    """Datasets (id -> target) with examples from any of these repositories, the newest first."""
    query = select(_DATASETS.c.id, _DATASETS.c.stage, _DATASETS.c.config).order_by(*_NEWEST_FIRST)
    with reading(raw) as connection:
        rows = connection.execute(query).all()
    return {row.id: row.stage for row in rows if set(row.config.get(_REPOSITORIES, ())) & set(repositories)}
