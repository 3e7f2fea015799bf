"""Closed trajectories of all campaigns, with what decides the value of their answers as training examples."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from sqlalchemy import Connection, select

from models.attribution import Evidence
from models.errors import UsageError
from models.manifest import Instance, Manifest
from models.outcomes import OracleKind, OutcomeKind
from models.training import PairSource, Provenance
from store.database import chunks, reading
from store.runs.attempts import AttemptKey
from store.tables import (
    AttributionRow,
    Campaign,
    CampaignRun,
    InstanceRow,
    OutcomeRow,
    RepoPackageRow,
    TaskRun,
    same_attempt,
    table_of,
)
from store.texts import read_texts

if TYPE_CHECKING:
    from sqlalchemy import Engine

UNKNOWN = "unknown"
_TRAJECTORIES, _OUTCOMES, _INSTANCES = table_of(TaskRun), table_of(OutcomeRow), table_of(InstanceRow)
_PACKAGES, _CAMPAIGNS, _ATTRIBUTIONS = table_of(RepoPackageRow), table_of(Campaign), table_of(AttributionRow)
_CAMPAIGN_RUNS = table_of(CampaignRun)
REAL_ORACLES = (OracleKind.F2P_P2P.value, OracleKind.GENERATED_TESTS.value)


@dataclass(frozen=True)
class ClosedRun:
    """A closed trajectory: its instance, its outcome by which oracle, and the source of its repository.

    `alignment` is the mean of the structural measures, None without a reference.
    """

    campaign: str
    trajectory: str
    attempt: int
    instance_key: str
    instance: Instance
    repository: str
    organisation: str
    domain: str
    license: str
    planner: str
    source: PairSource
    outcome: OutcomeKind
    oracle: str | None
    label: str | None
    failed_steps: tuple[str, ...]
    alignment: float | None

    @property
    def key(self) -> AttemptKey:
        """The attempt that closed it."""
        return AttemptKey(self.campaign, self.trajectory, self.attempt)

    @property
    def passed(self) -> bool:
        """Whether it passed a real oracle, one that ran tests hidden from the planner."""
        return self.outcome.passed and self.oracle in REAL_ORACLES

    def provenance(self, seq: int, model: str, adapter: str | None) -> Provenance:
        """The provenance of one of its answers."""
        return Provenance(
            campaign=self.campaign,
            trajectory=self.trajectory,
            attempt=self.attempt,
            seq=seq,
            instance=self.instance.instance_id,
            repository=self.repository,
            organisation=self.organisation,
            domain=self.domain,
            license=self.license,
            commit=self.instance.commit,
            base_commit=self.instance.base_commit,
            planner=self.planner,
            model=model,
            adapter=adapter,
            outcome=self.outcome.value,
            oracle=self.oracle,
            attribution=self.label,
            alignment=self.alignment,
            task_model=self.instance.message.model if self.instance.message else None,
        )


def campaign_ids(connection: Connection, names: Collection[str]) -> set[str]:
    """Keys of campaigns by label or key prefix. Raises UsageError for a name without a run."""
    found: set[str] = set()
    known = connection.execute(select(_CAMPAIGN_RUNS.c.name, _CAMPAIGN_RUNS.c.campaign_id)).all()
    for name in names:
        ids = {key for label, key in known if label == name or (len(name) >= 6 and key.startswith(name))}
        if not ids:
            labels = ", ".join(sorted({label for label, _ in known})) or "none"
            raise UsageError(f"no campaign {name!r} was run; known: {labels}")
        found |= ids
    return found


def read_runs(connection: Connection) -> Iterator[ClosedRun]:
    """All closed trajectories, in the order of their keys."""
    query = (
        select(
            _TRAJECTORIES.c.campaign_id,
            _TRAJECTORIES.c.id,
            _TRAJECTORIES.c.closed_attempt,
            _TRAJECTORIES.c.planner,
            _TRAJECTORIES.c.source,
            _TRAJECTORIES.c.outcome,
            _TRAJECTORIES.c.instance_id,
            _INSTANCES.c.spec_hash,
            _INSTANCES.c.repository,
            _INSTANCES.c.package_id,
            _OUTCOMES.c.oracle,
            _OUTCOMES.c.alignment,
            _CAMPAIGNS.c.config,
            _ATTRIBUTIONS.c.label,
            _ATTRIBUTIONS.c.evidence_hash,
        )
        .join(_INSTANCES, _INSTANCES.c.id == _TRAJECTORIES.c.instance_id)
        .join(_CAMPAIGNS, _CAMPAIGNS.c.id == _TRAJECTORIES.c.campaign_id)
        .join(
            _OUTCOMES,
            same_attempt(_OUTCOMES),
        )
        .outerjoin(
            _ATTRIBUTIONS,
            same_attempt(_ATTRIBUTIONS),
        )
        .where(_TRAJECTORIES.c.closed_at.is_not(None))
        .order_by(_TRAJECTORIES.c.campaign_id, _TRAJECTORIES.c.id)
    )
    rows = connection.execute(query).mappings().all()
    packages = _packages(connection, {row["package_id"] for row in rows})
    texts = read_texts(connection, {row["spec_hash"] for row in rows} | {row["evidence_hash"] for row in rows} - {None})
    instances = {key: Instance.model_validate_json(texts[key]) for key in {row["spec_hash"] for row in rows}}
    for row in rows:
        measures = list((row["alignment"] or {}).values())
        evidence = row["evidence_hash"]
        organisation, domain, license_ = packages[row["package_id"]]
        yield ClosedRun(
            campaign=row["campaign_id"],
            trajectory=row["id"],
            attempt=row["closed_attempt"],
            instance_key=row["instance_id"],
            instance=instances[row["spec_hash"]],
            repository=row["repository"],
            organisation=organisation,
            domain=domain,
            license=license_,
            planner=row["planner"],
            source=_source(row["planner"], row["source"], row["config"].get("kind")),
            outcome=OutcomeKind(row["outcome"]),
            oracle=row["oracle"],
            label=row["label"],
            failed_steps=Evidence.model_validate_json(texts[evidence]).failed_steps if evidence else (),
            alignment=round(sum(measures) / len(measures), 4) if measures else None,
        )


def _source(planner: str, stored: str, kind: str | None) -> PairSource:
    if stored == PairSource.SYNTHETIC_DIRECT:
        return PairSource.SYNTHETIC_DIRECT
    if planner == "gold":
        return PairSource.SYNTHETIC
    return PairSource.LOGGED if kind == "solve" or stored == PairSource.LOGGED else PairSource.HARNESS


def _packages(connection: Connection, ids: Collection[str]) -> dict[str, tuple[str, str, str]]:
    """Organisation, domain and license of packages."""
    rows = [
        row
        for part in chunks(ids)
        for row in connection.execute(select(_PACKAGES).where(_PACKAGES.c.id.in_(part))).mappings()
    ]
    texts = read_texts(connection, [row["manifest_hash"] for row in rows])
    found = {}
    for row in rows:
        manifest = Manifest.model_validate_json(texts[row["manifest_hash"]])
        organisation = manifest.organisation or owner_of(manifest.source)
        found[row["id"]] = (organisation, manifest.domain or UNKNOWN, manifest.license or UNKNOWN)
    return found


def owner_of(source: str) -> str:
    """The owner by a repository's URL, `host/owner/name` or `user@host:owner/name`; `unknown` for any other form."""
    if "://" in source:
        parts = urlsplit(source)
        path = parts.path if parts.hostname else ""
    else:
        user, _, rest = source.partition("@")
        path = rest.partition(":")[2] if rest and "/" not in user else ""
    owner, _, name = path.strip("/").rpartition("/")
    return owner.partition("/")[0].lower() if owner and name else UNKNOWN


class RepositoryKind(NamedTuple):
    """What a repository is said to be; `unknown` where its package does not say."""

    organisation: str
    domain: str


def repository_kinds(raw: "Engine") -> dict[str, RepositoryKind]:
    """The kind of each repository, by its newest package."""
    with reading(raw) as connection:
        rows = connection.execute(select(_PACKAGES.c.id, _PACKAGES.c.name).order_by(_PACKAGES.c.created_at)).all()
        kinds = _packages(connection, [row.id for row in rows])
    return {row.name: RepositoryKind(*kinds[row.id][:2]) for row in rows}
