"""How pairs are stored: a trajectory whole or not at all, so that a process killed in the middle leaves no trace."""

import os
import subprocess
import sys
from pathlib import Path

from sqlalchemy import func, select

from harness.synthesis.run import synthesize
from models.mining import MiningRules
from models.outcomes import OutcomeKind
from store.database import reading
from store.runs import open_raw_store
from store.runs.direct import store_direct
from store.tables import OutcomeRow, RetrievalDecision, RetrievalLlmCall, TaskRun, table_of
from tests.support.direct_material import repository, run, settings_in

KILLED_AT_THE_END = """
import os, sys
from pathlib import Path
from sqlalchemy import Engine, event
from harness.synthesis.run import synthesize
from models.mining import MiningRules
from tests.support.direct_material import settings_in

def kill_at_the_outcome(connection, cursor, statement, *_):
    if statement.startswith("INSERT INTO outcomes"):
        os.kill(os.getpid(), 9)

folder = Path(sys.argv[1])
settings = settings_in(folder)
event.listen(Engine, "before_cursor_execute", kill_at_the_outcome)
synthesize([folder / "spans.git"], settings, MiningRules())
"""
TABLES = (RetrievalLlmCall, RetrievalDecision, OutcomeRow)


def stored(folder: Path) -> tuple[list[tuple[object, ...]], list[int]]:
    """Each trajectory with its attempts, and the numbers of rows of evidence."""
    runs = table_of(TaskRun)
    with reading(open_raw_store(str(folder / "raw.sqlite")).engine) as connection:
        found = connection.execute(
            select(runs.c.id, runs.c.attempts, runs.c.closed_attempt, runs.c.outcome).order_by(runs.c.id)
        )
        counts = [connection.scalar(select(func.count()).select_from(table_of(each))) or 0 for each in TABLES]
        return [tuple(row) for row in found], counts


def test_a_process_killed_while_it_stores_leaves_nothing_and_the_next_run_stores_the_same(tmp_path: Path) -> None:
    place = repository(tmp_path / "spans.git")
    code = subprocess.run([sys.executable, "-c", KILLED_AT_THE_END, tmp_path], env=os.environ, check=False).returncode
    assert code == -9
    left, counts = stored(tmp_path)
    assert {attempts for _, attempts, _, _ in left} == {0}
    assert counts == [0, 0, 0]
    store = open_raw_store(str(tmp_path / "raw.sqlite"))
    with store.engine.begin() as connection:  # as when the dead process's leases have run out
        connection.exec_driver_sql("DELETE FROM leases")
    synthesize([place], settings_in(tmp_path), MiningRules())
    (tmp_path / "fresh").mkdir()
    run(tmp_path / "fresh", place)
    assert stored(tmp_path) == stored(tmp_path / "fresh")


def test_a_trajectory_that_another_process_closed_keeps_what_is_stored(tmp_path: Path) -> None:
    run(tmp_path, repository(tmp_path / "spans.git"))
    before = stored(tmp_path)
    engine = open_raw_store(str(tmp_path / "raw.sqlite")).engine
    assert not store_direct(engine, str(before[0][0][0]), [], OutcomeKind.EDIT_REJECTED, "too late")
    assert stored(tmp_path) == before
