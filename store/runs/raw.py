"""The raw store: campaigns and trajectories in, questions about them out.

Every method is one transaction, safe to call from several threads and processes, and harmless to repeat.
"""

from collections.abc import Collection, Mapping, Sequence
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
from store.rows import add, record, writing
from store.runs.attributions import attribution_row, keep_attribution, read_attribution
from store.runs.corpus import register_package
from store.runs.questions import RawReader
from store.runs.recorder import AttemptRecorder
from store.runs.report import latest_run
from store.tables import Blob, Campaign, CampaignRun, OutcomeRow, TaskRun, ValidationRow, table_of, utc_now
from store.texts import Texts, find_text, read_texts

_TRAJECTORIES = table_of(TaskRun)


def open_raw_store(target: str | Path) -> "RawStore":
    """The raw store behind a path or URL, at the newest schema. Raises DatabaseError if that cannot be."""
    return RawStore(open_database(target, "raw"))


class RawStore(RawReader):
    """What the harness does with the raw database behind `engine`."""

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
        """Hashes of stored texts that begin with some hexadecimal digits, `limit` at most."""
        key = table_of(Blob).c.sha256
        with reading(self._engine) as connection:  # "g" follows all hexadecimal digits
            return list(connection.scalars(select(key).where(key >= prefix, key < prefix + "g").limit(limit)))

    def register_package(self, manifest: Manifest, content: RepositoryContent | None = None) -> dict[str, str]:
        """Store a repo package and its instances; the instances' keys by their `instance_id`.

        `content` is what its clone was found to be, by which copies of a repository under other names are known.
        """
        return register_package(self._engine, manifest, content)

    def register_campaign(self, config: Mapping[str, Any]) -> str:
        """Store a campaign's configuration (JSON-like); its key, which is the hash of it."""
        key = campaign_key(config)
        with writing(self._engine) as connection:
            add(connection, Campaign(id=key, config=dict(config)))
        return key

    def start_run(self, campaign_id: str, name: str, flow_run_id: str, packages: Sequence[Path | str]) -> str:
        """Store that a run of a campaign over some repo packages began under a label; the run's key.

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
        """Where the repo packages lay that the last run under a label read.

        UsageError for a label never used.
        """
        with reading(self._engine) as connection:
            return [Path(package) for package in latest_run(connection, name)["packages"]]

    def known_package_directories(self) -> list[Path]:
        """Where repo packages lay that runs of campaigns read, those of the latest run first, each once."""
        runs = table_of(CampaignRun)
        with reading(self._engine) as connection:
            lists = connection.scalars(select(runs.c.packages).order_by(runs.c.started_at.desc())).all()
        return list(dict.fromkeys(Path(package) for packages in lists for package in packages))

    def open_trajectory(
        self,
        campaign_id: str,
        instance: str,
        planner: str,
        planner_identity: str,
        temperature: float = 0.0,
        sample: int = 0,
    ) -> str:
        """Store that a trajectory is to be run; its key. `instance` is an instance's key."""
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
        """Those trajectories that are done and need no attempt."""
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
        """How a closed trajectory ended. Raises UsageError for one that is unknown or still open."""
        with reading(self._engine) as connection:
            run = _find(connection, trajectory_id)
        if run["outcome"] is None:
            raise UsageError(f"trajectory {trajectory_id} is still open")
        return OutcomeKind(run["outcome"])

    def begin_attempt(self, trajectory_id: str) -> int | None:
        """The number of a new attempt, from 1; None if the trajectory is closed.

        No two callers get the same.
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
            return number

    def recorder(self, trajectory_id: str, attempt: int) -> AttemptRecorder:
        """The recorder of an attempt that was begun."""
        with reading(self._engine) as connection:
            run = _find(connection, trajectory_id)
        _check_begun(run, attempt)
        return AttemptRecorder(self._engine, run["campaign_id"], trajectory_id, attempt)

    def store_validation(self, instance: str, validation: Validation, report: SuiteReport) -> Validation:
        """Keep a verdict under its key, with the test run it rests on.

        Returns the verdict that is kept, which is the first one reached.
        Raises ValueError for a fault of infrastructure or environment: it says nothing about the patch.
        """
        if not validation.kind.final:
            raise ValueError(f"{validation.kind.value} is no verdict on a patch; it must be tried again")
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
        """Store how an attempt ended and, unless it is to be tried again, close the trajectory: both or
        neither.

        `alignment` holds numbers between 0 and 1, `validation` is a stored verdict's key, `seconds` the
        attempt's wall time. False, and nothing is stored, if another attempt has closed the trajectory
        before.
        """
        texts = Texts()
        patch_hash = texts.add(patch)
        with writing(self._engine, texts) as connection:
            run = _find(connection, trajectory_id, for_update=True)
            _check_begun(run, attempt)
            if run["closed_at"] is not None and run["closed_attempt"] != attempt:
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
            return True

    def store_attribution(self, trajectory_id: str, attempt: int, attribution: Attribution) -> Attribution:
        """Keep which stage an attempt failed at. Returns the attribution that is kept, which is the first."""
        texts = Texts()
        with reading(self._engine) as connection:
            run = _find(connection, trajectory_id)
        _check_begun(run, attempt)
        row = attribution_row(run["campaign_id"], trajectory_id, attempt, attribution, texts)
        with writing(self._engine, texts) as connection:
            return keep_attribution(connection, row, attribution)

    def find_attribution(self, trajectory_id: str, attempt: int) -> Attribution | None:
        """Which stage an attempt failed at, or None if that was not asked yet."""
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
