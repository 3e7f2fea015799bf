"""Generated tests and the quality of tests, in the raw database. Each method is one idempotent transaction."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, select

from models.files import Overlay
from models.test_quality import TestQuality
from store.database import open_database, reading
from store.keys import canonical, digest
from store.rows import add, writing
from store.tables import table_of
from store.tables.supplements import SupplementRound, TestQualityRow
from store.texts import Texts, find_text, sha256

if TYPE_CHECKING:
    from models.supplements import Supplement


def open_supplement_store(target: str | Path) -> "SupplementStore":
    """The store behind a path or URL, at the newest schema. Raises DatabaseError if it cannot be opened."""
    return SupplementStore(open_database(target, "raw"))


def files_hash(files: Overlay) -> str:
    """Hash of files by path and content."""
    listed = {
        path: None if content is None else [content[0].hex(), content[1]] for path, content in sorted(files.items())
    }
    return sha256(canonical(listed))


def quality_key(instance: str, patch: Overlay, tests: Overlay, conditions: Mapping[str, Any]) -> str:
    """The identity of a measurement; `instance` is an instance's key, `conditions` hold what else it depends on."""
    return digest("test-quality", instance, files_hash(patch), files_hash(tests), dict(conditions))


class SupplementStore:
    """Rounds of supplementation and measurements of tests, in the raw database behind `engine`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add_supplement(self, instance: str, supplement: "Supplement") -> None:
        """Store the rounds of an instance; `instance` is its key without generated tests."""
        texts = Texts()
        rows = []
        for each in supplement.rounds:
            reply = each.reply
            prompt, files = texts.add(each.prompt), texts.add(canonical(each.files))
            answer = texts.add(reply.text) if reply else None
            rows.append(
                SupplementRound(
                    id=digest("supplement-round", instance, each.number, prompt, answer, each.trial.refusal),
                    instance_id=instance,
                    number=each.number,
                    prompt_hash=prompt,
                    answer_hash=answer,
                    files_hash=files,
                    trial_hash=texts.add(canonical(each.trial)),
                    model=reply.model if reply else "",
                    finish_reason=reply.finish_reason if reply else "",
                    prompt_tokens=reply.prompt_tokens if reply else 0,
                    cached_tokens=reply.cached_tokens if reply else 0,
                    completion_tokens=reply.completion_tokens if reply else 0,
                    cost=reply.cost if reply else 0.0,
                    latency=reply.latency if reply else 0.0,
                    refusal=each.trial.refusal.value if each.trial.refusal else None,
                    taken=each.number == supplement.taken,
                )
            )
        with writing(self._engine, texts) as connection:
            for row in rows:
                add(connection, row)

    def rounds(self, instance: str) -> list[SupplementRound]:
        """The rounds of an instance, in the order they were asked; `instance` is its key without generated tests."""
        table = table_of(SupplementRound)
        query = select(table).where(table.c.instance_id == instance).order_by(table.c.created_at, table.c.number)
        with reading(self._engine) as connection:
            return [SupplementRound(**row) for row in connection.execute(query).mappings()]

    def add_quality(self, key: str, instance: str, patch: Overlay, tests: Overlay, found: TestQuality) -> None:
        """Store a measurement under its key; the first one stays."""
        texts = Texts()
        row = TestQualityRow(
            id=key,
            instance_id=instance,
            patch_hash=files_hash(patch),
            tests_hash=files_hash(tests),
            coverage=found.coverage,
            changed=found.changed,
            missed=len(found.missed),
            killed=found.killed,
            total=found.total,
            seconds=found.seconds,
            result_hash=texts.add(canonical(found)),
        )
        with writing(self._engine, texts) as connection:
            add(connection, row)

    def find_quality(self, key: str) -> TestQuality | None:
        """The measurement under a key, or None."""
        table = table_of(TestQualityRow)
        with reading(self._engine) as connection:
            text = find_text(connection, select(table.c.result_hash).where(table.c.id == key))
        return None if text is None else TestQuality.model_validate_json(text)
