"""The raw store: records campaigns and trajectories, and answers queries about them.

Every method is one transaction, idempotent, and safe to call from several threads and processes.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, RowMapping, select, update

from models.attribution import Attribution
from models.content import RepositoryContent
from models.errors import DatabaseError, UsageError
from models.manifest import Manifest
from models.outcomes import OracleKind, OutcomeKind, Validation
from models.suite import SuiteReport
from store.database import chunks, open_database, reading
from store.keys import campaign_key, canonical, digest, trajectory_key
from store.leases import give_back
from store.places import located
from store.rows import add, record, writing
from store.runs.attributions import attribution_row, keep_attribution, read_attribution
from store.runs.coordination import RawCoordination
from store.runs.corpus import add_content, register_package
from store.runs.recorder import AttemptRecorder
from store.runs.report import latest_run
from store.tables import Blob, Campaign, CampaignRun, OutcomeRow, TaskRun, ValidationRow, table_of, utc_now
from store.texts import Texts, find_text, read_texts

_TRAJECTORIES = table_of(TaskRun)


def open_raw_store(target: str | Path) -> "RawStore":
    """The raw store behind a path or URL, at the newest schema. Raises DatabaseError if it cannot be opened."""
    return RawStore(open_database(target, "raw"))


class RawStore(RawCoordination):
    """The harness's access to the raw database behind `engine`."""

    def put_text(self, text: str) -> str:
        """Store a text once; its SHA-256."""
        texts = Texts()
        key = texts.add(text)
        with writing(self._engine, texts):
            return key

    def get_text(self, sha256: str) -> str:
        """A stored text. Raises DatabaseError if there is none or it is damaged."""
        with reading(self._engine) as connection:
            return read_texts(connection, [sha256])[sha256]

    def text_hashes(self, prefix: str, limit: int) -> list[str]:
        """At most `limit` hashes of stored texts that begin with `prefix`."""
        key = table_of(Blob).c.sha256
        with reading(self._engine) as connection:  # "g" follows all hexadecimal digits
            return list(connection.scalars(select(key).where(key >= prefix, key < prefix + "g").limit(limit)))

    def register_package(self, manifest: Manifest, content: RepositoryContent | None = None) -> dict[str, str]:
        """Store a repo package and its instances; the instances' keys by their `instance_id`.

        `content` describes its clone; by it, copies of a repository under other names are recognised.
        """
        return register_package(self._engine, manifest, content)

    def register_contents(self, contents: Iterable[tuple[str, RepositoryContent]]) -> None:
        """Store contents of repositories, each with its name; by them, copies under other names are recognised."""
        with writing(self._engine) as connection:
            for name, content in contents:
                add_content(connection, name, content)

    def register_campaign(self, config: Mapping[str, Any]) -> str:
        """Store a campaign's configuration (JSON-like); its key, which is the hash of it."""
        key = campaign_key(config)
        with writing(self._engine) as connection:
            add(connection, Campaign(id=key, config=dict(config)))
        return key

    def start_run(self, campaign_id: str, name: str, flow_run_id: str, packages: Sequence[Path | str]) -> str:
        """Record the start of a campaign's run over repo packages under a label; returns the run's key.

        A flow run that is restarted stays the same run.
        """
        row = CampaignRun(
            id=digest("campaign-run", campaign_id, name, flow_run_id),
            campaign_id=campaign_id,
            name=name,
            flow_run_id=flow_run_id,
            packages=[str(package) for package in packages],
        )
        with writing(self._engine) as connection:
            add(connection, row)
        return row.id

    def package_directories(self, name: str) -> list[Path]:
        """Directories of the repo packages that the last run under a label read.

        Raises UsageError for a label never used.
        """
        with reading(self._engine) as connection:
            return [located(package) for package in latest_run(connection, name)["packages"]]

    def known_package_directories(self) -> list[Path]:
        """Directories of the repo packages that campaigns read, without duplicates, those of the latest run first."""
        runs = table_of(CampaignRun)
        with reading(self._engine) as connection:
            lists = connection.scalars(select(runs.c.packages).order_by(runs.c.started_at.desc())).all()
        return list(dict.fromkeys(located(package) for packages in lists for package in packages))

    def open_trajectory(
        self,
        campaign_id: str,
        instance: str,
        planner: str,
        planner_identity: str,
        temperature: float = 0.0,
        sample: int = 0,
    ) -> str:
        """Record a trajectory that is to be run; returns its key. `instance` is an instance's key."""
        key = trajectory_key(campaign_id, instance, planner, planner_identity, temperature, sample)
        texts = Texts()
        row = TaskRun(
            campaign_id=campaign_id,
            id=key,
            instance_id=instance,
            planner=planner,
            planner_hash=texts.add(planner_identity),
            temperature=float(temperature),
            sample=sample,
        )
        with writing(self._engine, texts) as connection:
            add(connection, row)
        return key

    def closed(self, keys: Collection[str]) -> set[str]:
        """The closed trajectories among `keys`, which need no attempt."""
        found: set[str] = set()
        with reading(self._engine) as connection:
            for part in chunks(keys):
                found.update(
                    connection.scalars(
                        select(_TRAJECTORIES.c.id).where(
                            _TRAJECTORIES.c.id.in_(part), _TRAJECTORIES.c.closed_at.is_not(None)
                        )
                    )
                )
        return found

    def outcome(self, trajectory_id: str) -> OutcomeKind:
        """The outcome of a closed trajectory. Raises UsageError if it is unknown or still open."""
        with reading(self._engine) as connection:
            run = _find(connection, trajectory_id)
        if run["outcome"] is None:
            raise UsageError(f"trajectory {trajectory_id} is still open")
        return OutcomeKind(run["outcome"])

    def begin_attempt(self, trajectory_id: str) -> int | None:
        """The number of a new attempt, from 1; None if the trajectory is closed.

        Numbers are never handed out twice.
        """
        with writing(self._engine) as connection:
            number: int | None = connection.scalar(
                update(_TRAJECTORIES)
                .where(_TRAJECTORIES.c.id == trajectory_id, _TRAJECTORIES.c.closed_at.is_(None))
                .values(attempts=_TRAJECTORIES.c.attempts + 1)
                .returning(_TRAJECTORIES.c.attempts)
            )
            if number is None:
                _find(connection, trajectory_id)
                give_back(connection, [trajectory_id])
            return number

    def recorder(self, trajectory_id: str, attempt: int, *, buffered: bool = False) -> AttemptRecorder:
        """The recorder of an attempt that has begun; a `buffered` one stores everything at once, by `flush`."""
        with reading(self._engine) as connection:
            run = _find(connection, trajectory_id)
        _check_begun(run, attempt)
        return AttemptRecorder(self._engine, run["campaign_id"], trajectory_id, attempt, buffered=buffered)

    def store_validation(self, instance: str, validation: Validation, report: SuiteReport) -> Validation:
        """Store a verdict under its key, with the test run it rests on.

        Returns the stored verdict, which is the first one reached.
        Raises ValueError for a fault of infrastructure or environment: it says nothing about the patch.
        """
        if not validation.kind.final:
            raise ValueError(f"{validation.kind.value} is no verdict on a patch; run it again")
        texts = Texts()
        row = ValidationRow(
            id=validation.key,
            instance_id=instance,
            oracle=validation.oracle.value,
            kind=validation.kind.value,
            seconds=validation.seconds,
            result_hash=texts.add(canonical(validation)),
            report_hash=texts.add(canonical(report)),
        )
        with writing(self._engine, texts) as connection:
            if add(connection, row):
                return validation
        kept = self.find_validation(validation.key)
        assert kept is not None
        return kept

    def find_validation(self, key: str) -> Validation | None:
        """The verdict under a key, or None."""
        table = table_of(ValidationRow)
        with reading(self._engine) as connection:
            text = find_text(connection, select(table.c.result_hash).where(table.c.id == key))
        return None if text is None else Validation.model_validate_json(text)

    def close_trajectory(
        self,
        trajectory_id: str,
        attempt: int,
        kind: OutcomeKind,
        *,
        patch: str = "",
        alignment: Mapping[str, float] | None = None,
        detail: str = "",
        oracle: OracleKind | None = None,
        validation: str | None = None,
        seconds: float = 0.0,
    ) -> bool:
        """Store an attempt's outcome and, unless it is to be retried, close the trajectory, in one transaction.

        `alignment` holds numbers between 0 and 1, `validation` is a stored verdict's key, `seconds` the
        attempt's wall time. This process's lease ends with it. Returns False, and stores nothing, if another attempt
        has closed the trajectory.
        """
        texts = Texts()
        patch_hash = texts.add(patch)
        with writing(self._engine, texts) as connection:
            run = _find(connection, trajectory_id, for_update=True)
            _check_begun(run, attempt)
            if run["closed_at"] is not None and run["closed_attempt"] != attempt:
                give_back(connection, [trajectory_id])
                return False
            row = OutcomeRow(
                campaign_id=run["campaign_id"],
                task_run_id=trajectory_id,
                attempt=attempt,
                kind=kind.value,
                blame=kind.blame.value,
                oracle=oracle.value if oracle else None,
                validation_id=validation,
                patch_hash=patch_hash,
                alignment=dict(alignment) if alignment is not None else None,
                detail=detail,
                seconds=seconds,
            )
            record(connection, row)
            if kind.final and run["closed_at"] is None:
                connection.execute(
                    update(_TRAJECTORIES)
                    .where(_TRAJECTORIES.c.campaign_id == run["campaign_id"], _TRAJECTORIES.c.id == trajectory_id)
                    .values(closed_at=utc_now(), closed_attempt=attempt, outcome=kind.value, success=kind.succeeded)
                )
            give_back(connection, [trajectory_id])
            return True

    def store_attribution(self, trajectory_id: str, attempt: int, attribution: Attribution) -> Attribution:
        """Store an attempt's attribution. Returns the stored one, which is the first."""
        texts = Texts()
        with reading(self._engine) as connection:
            run = _find(connection, trajectory_id)
        _check_begun(run, attempt)
        row = attribution_row(run["campaign_id"], trajectory_id, attempt, attribution, texts)
        with writing(self._engine, texts) as connection:
            return keep_attribution(connection, row, attribution)

    def find_attribution(self, trajectory_id: str, attempt: int) -> Attribution | None:
        """The attribution of an attempt, or None."""
        with reading(self._engine) as connection:
            run = _find(connection, trajectory_id)
            return read_attribution(connection, run["campaign_id"], trajectory_id, attempt)


def _find(connection: Connection, trajectory_id: str, for_update: bool = False) -> RowMapping:
    query = select(_TRAJECTORIES).where(_TRAJECTORIES.c.id == trajectory_id)
    row = connection.execute(query.with_for_update() if for_update else query).mappings().one_or_none()
    if row is None:
        raise UsageError(f"no trajectory {trajectory_id}; list a campaign's with `cra report`")
    return row


def _check_begun(run: RowMapping, attempt: int) -> None:
    if not 1 <= attempt <= run["attempts"]:
        raise DatabaseError(f"attempt {attempt} of trajectory {run['id']} was never begun; it has {run['attempts']}")
