"""Attributions of failed attempts."""

from sqlalchemy import Connection, select

from models.attribution import Attribution, Evidence, Label
from store.keys import canonical
from store.rows import add
from store.tables import AttributionRow, table_of
from store.texts import Texts, read_texts


def attribution_row(
    campaign_id: str, trajectory_id: str, attempt: int, attribution: Attribution, texts: Texts
) -> AttributionRow:
    """The row of an attribution; its evidence goes to `texts`."""
    return AttributionRow(
        campaign_id=campaign_id,
        task_run_id=trajectory_id,
        attempt=attempt,
        label=attribution.label.value,
        reason=attribution.reason,
        version=attribution.version,
        evidence_hash=texts.add(canonical(attribution.evidence)),
    )


def keep_attribution(connection: Connection, row: AttributionRow, attribution: Attribution) -> Attribution:
    """Store an attribution; returns the stored one, which is the first."""
    if add(connection, row):
        return attribution
    kept = read_attribution(connection, row.campaign_id, row.task_run_id, row.attempt)
    assert kept is not None
    return kept


def read_attribution(connection: Connection, campaign_id: str, trajectory_id: str, attempt: int) -> Attribution | None:
    """The attribution of an attempt, or None."""
    table = table_of(AttributionRow)
    key = {"campaign_id": campaign_id, "task_run_id": trajectory_id, "attempt": attempt}
    row = connection.execute(select(table).filter_by(**key)).mappings().one_or_none()
    if row is None:
        return None
    evidence = read_texts(connection, [row["evidence_hash"]])[row["evidence_hash"]]
    return Attribution(
        label=Label(row["label"]),
        reason=row["reason"],
        version=row["version"],
        evidence=Evidence.model_validate_json(evidence),
    )
