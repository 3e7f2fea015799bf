"""Tasks of `cra solve` in the raw database: how many there are, and a copy of the database without them.

They are the texts of people about repositories of their own. With the rows go the texts that nothing else names: a text
is named by its hash, in a column or in another text.
"""

import json
import re
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from store.database import reading
from store.tables import Campaign, TaskRun, table_of

if TYPE_CHECKING:
    import sqlite3

    from store.database import Engine

KIND = "solve"
_HASH = re.compile(rb"[0-9a-f]{64}")
_CAMPAIGNS = "SELECT id FROM campaigns WHERE json_extract(config, '$.kind') = 'solve'"
_GONE = {
    "gone_campaigns": _CAMPAIGNS,
    "gone_answers": """
        SELECT id FROM answers WHERE EXISTS (SELECT * FROM gone_campaigns)
        EXCEPT SELECT answer_id FROM retrieval_llm_calls WHERE campaign_id NOT IN gone_campaigns""",
    "gone_instances": """
        SELECT instance_id AS id FROM task_runs WHERE campaign_id IN gone_campaigns
        UNION SELECT id FROM instances WHERE package_id IN task_packages
        EXCEPT SELECT instance_id FROM task_runs WHERE campaign_id NOT IN gone_campaigns""",
    "gone_packages": """
        SELECT package_id AS id FROM instances WHERE id IN gone_instances
        UNION SELECT id FROM task_packages
        EXCEPT SELECT package_id FROM instances WHERE id NOT IN gone_instances""",
    "gone_repositories": """
        SELECT name AS id FROM repo_packages WHERE id IN gone_packages
        EXCEPT SELECT repository FROM instances WHERE id NOT IN gone_instances""",
}
"""What goes, each by a query over what went before. An answer is a question's, and says of no campaign that it is its
own: those that no other campaign's call names may hold a task that was killed before its calls were stored."""
_OWN = {
    "campaigns": "id IN gone_campaigns",
    "answers": "id IN gone_answers",
    "voided_answers": "id IN gone_answers",
    "instances": "id IN gone_instances",
    "repo_packages": "id IN gone_packages",
    "repository_contents": "repository IN gone_repositories",
}
"""The rows that go, where the table has no column of a campaign or an instance."""


def count_tasks(raw: "Engine") -> int:
    """How many tasks of `cra solve` are on record: trajectories of such campaigns."""
    runs, campaigns = table_of(TaskRun), table_of(Campaign)
    query = select(func.count()).select_from(runs.join(campaigns, campaigns.c.id == runs.c.campaign_id))
    with reading(raw) as connection:
        return connection.scalar(query.where(campaigns.c.config["kind"].as_string() == KIND)) or 0


def drop_tasks(opened: "sqlite3.Connection") -> None:
    """Delete them from a copy of a raw database, with the texts that only they name. Its triggers, which refuse that,
    must be gone."""
    opened.execute("CREATE TEMP TABLE task_packages (id)")
    opened.executemany("INSERT INTO task_packages VALUES (?)", list(_task_packages(opened)))
    for name, query in _GONE.items():
        opened.execute(f"CREATE TEMP TABLE {name} AS {query}")
    tables = [name for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    conditions = {table: condition for table in tables if (condition := _condition(opened, table))}
    named = {sha for table, condition in conditions.items() for sha in _named(opened, table, condition)}
    named |= {sha for text in _texts(opened, named) for sha in _hashes(text)}
    for table, condition in conditions.items():
        opened.execute(f"DELETE FROM {table} WHERE {condition}")  # noqa: S608 - constants
    others = {sha for table in tables if table != "answer_scores" for sha in _named(opened, table, "TRUE")}
    unnamed = _unnamed(opened, named - others)
    for sha in unnamed:  # a score rests on the texts that it is about
        opened.execute("DELETE FROM answer_scores WHERE ? IN (prompt_hash, response_hash)", (sha,))
    unnamed -= set(_named(opened, "answer_scores", "TRUE"))
    opened.executemany("DELETE FROM blobs WHERE sha256 = ?", [(sha,) for sha in sorted(unnamed)])


def _task_packages(opened: "sqlite3.Connection") -> Iterator[tuple[str]]:
    """Packages that were made for a task, also one that never began: nothing was mined for them, and their only
    instance is of no commit whose files are known."""
    for key, sha in list(opened.execute("SELECT id, manifest_hash FROM repo_packages")):
        for text in _texts(opened, {sha}):
            manifest = json.loads(text)
            instances = manifest["instances"]
            mined = manifest["funnel"]["total"] or len(instances) != 1
            if not mined and not instances[0]["production_files"] and not instances[0]["test_files"]:
                yield (key,)


def _condition(opened: "sqlite3.Connection", table: str) -> str:
    if table in _OWN:
        return _OWN[table]
    columns = {row[1] for row in opened.execute(f"PRAGMA table_info({table})")}
    if "campaign_id" in columns:
        return "campaign_id IN gone_campaigns"
    return "instance_id IN gone_instances" if "instance_id" in columns else ""


def _named(opened: "sqlite3.Connection", table: str, condition: str) -> Iterator[str]:
    """The texts that rows name in columns."""
    for row in list(opened.execute(f"PRAGMA foreign_key_list({table})")):
        if row[2] == "blobs":
            query = f"SELECT DISTINCT {row[3]} FROM {table} WHERE {row[3]} IS NOT NULL AND {condition}"  # noqa: S608 - constants
            yield from (sha for (sha,) in opened.execute(query))


def _unnamed(opened: "sqlite3.Connection", hashes: set[str]) -> set[str]:
    """Those of the texts that no other text names, and no configuration of a dataset, which names one as well."""
    kept = [config.encode() for (config,) in opened.execute("SELECT config FROM training_datasets")]
    others = (sha for (sha,) in list(opened.execute("SELECT sha256 FROM blobs")) if sha not in hashes)
    found = {sha for text in kept for sha in _hashes(text)}
    found |= {sha for text in _texts(opened, others) for sha in _hashes(text)}
    while new := found & hashes:
        hashes = hashes - new
        found = {sha for text in _texts(opened, new) for sha in _hashes(text)}
    return hashes


def _texts(opened: "sqlite3.Connection", hashes: "Iterator[str] | set[str]") -> Iterator[bytes]:
    for sha in hashes:
        for codec, data in opened.execute("SELECT codec, data FROM blobs WHERE sha256 = ?", (sha,)):
            yield zlib.decompress(data) if codec == "zlib" else data


def _hashes(text: bytes) -> Iterator[str]:
    return (match.decode() for match in _HASH.findall(text))
