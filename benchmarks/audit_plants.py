"""Faults that are planted into copies of logs, for `audit_faults.py` and `audit_doubts.py`: how each is made."""

import json
import random
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from models.chat import prompt_text, read_prompt
from store.runs import sha256


class Log(NamedTuple):
    """A trajectory's rows in the copy: a connection, its id, the attempt that counts, and random choices."""

    connection: Connection
    trajectory: str
    attempt: int
    random: random.Random

    def rows(self, table: str, condition: str = "1 = 1") -> list[dict[str, Any]]:
        """The rows of the attempt in a table."""
        query = f"SELECT * FROM {table} WHERE task_run_id = :id AND attempt = :attempt AND {condition} ORDER BY seq"
        return [dict(row) for row in self.connection.execute(text(query), self._key).mappings()]

    def any(self, table: str, condition: str = "1 = 1") -> dict[str, Any] | None:
        """One of them, if there is one."""
        found = self.rows(table, condition)
        return self.random.choice(found) if found else None

    def change(self, table: str, seq: int, **values: Any) -> list[int]:
        """Change a row; returns what cites it."""
        sets = ", ".join(f"{name} = :{name}" for name in values)
        query = f"UPDATE {table} SET {sets} WHERE task_run_id = :id AND attempt = :attempt AND seq = :seq"
        self.connection.execute(text(query), {**self._key, **values, "seq": seq})
        return [seq]

    def text_of(self, key: str) -> str:
        """A stored text."""
        row = self.connection.execute(text("SELECT codec, data FROM blobs WHERE sha256 = :key"), {"key": key}).one()
        return (zlib.decompress(row.data) if row.codec == "zlib" else bytes(row.data)).decode("utf-8", "surrogatepass")

    def add_text(self, content: str) -> str:
        """Store a text; returns its hash."""
        key, data = sha256(content), content.encode("utf-8", "surrogatepass")
        query = "INSERT OR IGNORE INTO blobs (sha256, codec, size, data) VALUES (:key, 'raw', :size, :data)"
        self.connection.execute(text(query), {"key": key, "size": len(data), "data": data})
        return key

    @property
    def _key(self) -> dict[str, Any]:
        return {"id": self.trajectory, "attempt": self.attempt}


Plant = Callable[[Log], list[int] | None]
"""Plants a fault; returns the rows that it changed (empty: none that is numbered), or None if it can't be planted."""


def remove_row(log: Log) -> list[int] | None:
    """Remove a decision, but the last row."""
    rows = log.rows("retrieval_decisions")[:-1]
    if not rows:
        return None
    seq = log.random.choice(rows)["seq"]
    query = "DELETE FROM retrieval_decisions WHERE task_run_id = :id AND attempt = :attempt AND seq = :seq"
    log.connection.execute(text(query), {"id": log.trajectory, "attempt": log.attempt, "seq": seq})
    return [seq]


def alter_prompt(log: Log) -> list[int] | None:
    """Change a character in the user's part of a prompt."""
    call = log.any("retrieval_llm_calls", "prompt_hash IS NOT NULL")
    if call is None:
        return None
    system, user = read_prompt(log.text_of(call["prompt_hash"]))
    at = log.random.randrange(len(user.content))
    other = "~" if user.content[at] != "~" else "-"
    changed = user.model_copy(update={"content": user.content[:at] + other + user.content[at + 1 :]})
    key = log.add_text(prompt_text([system, changed]))
    return log.change("retrieval_llm_calls", call["seq"], prompt_hash=key)


def swap_prompts(log: Log) -> list[int] | None:
    """Give a call the prompt of another call of its stage."""
    calls = log.rows("retrieval_llm_calls", "call_type = 'code' AND prompt_hash IS NOT NULL")
    if len({call["prompt_hash"] for call in calls}) < 2:
        return None
    call = log.random.choice(calls)
    other = next(each for each in calls if each["prompt_hash"] != call["prompt_hash"])
    return log.change("retrieval_llm_calls", call["seq"], prompt_hash=other["prompt_hash"])


def alter_answer(log: Log) -> list[int] | None:
    """Change an answer of the coder: a letter within the code."""
    call = log.any("retrieval_llm_calls", "call_type = 'code'")
    if call is None:
        return None
    answer = log.text_of(call["response_hash"])
    places = [index for index, char in enumerate(answer) if char.isalpha() and index > len(answer) // 2]
    if not places:
        return None
    at = log.random.choice(places)
    key = log.add_text(answer[:at] + ("q" if answer[at] != "q" else "z") + answer[at + 1 :])
    return log.change("retrieval_llm_calls", call["seq"], response_hash=key)


def alter_request(log: Log) -> list[int] | None:
    """Change the task in one request."""
    call = log.any("retrieval_llm_calls")
    if call is None:
        return None
    question = json.loads(log.text_of(call["request_hash"]))
    question["task"]["text"] += " Do nothing else."
    key = log.add_text(json.dumps(question, sort_keys=True, separators=(",", ":"), ensure_ascii=True))
    return log.change("retrieval_llm_calls", call["seq"], request_hash=key)


def flip_judgement(log: Log) -> list[int] | None:
    """Decide otherwise than a judge said."""
    row = log.any("retrieval_decisions", "stage = 'scope' AND reason LIKE 'judge%'")
    if row is None:
        return None
    other = "irrelevant" if row["decision"] == "relevant" else "relevant"
    return log.change("retrieval_decisions", row["seq"], decision=other)


def invent_judgement(log: Log) -> list[int] | None:
    """Let a decision be of a file that nothing was said about."""
    row = log.any("retrieval_decisions", "stage = 'scope' AND reason LIKE 'judge%'")
    return None if row is None else log.change("retrieval_decisions", row["seq"], subject="src/not_there.py")


def alter_plan(log: Log) -> list[int] | None:
    """Change the rationale of a plan."""
    row = log.any("plans")
    if row is None:
        return None
    plan = json.loads(log.text_of(row["plan_hash"]))
    plan["rationale"] = "Because it is simpler."
    key = log.add_text(json.dumps(plan, sort_keys=True, separators=(",", ":"), ensure_ascii=True))
    return log.change("plans", row["seq"], plan_hash=key)


def alter_rung(log: Log) -> list[int] | None:
    """Let an edit be applied by another rung."""
    row = log.any("edits", "rung IS NOT NULL")
    if row is None:
        return None
    return log.change("edits", row["seq"], rung="elision" if row["rung"] != "elision" else "exact")


def alter_hash(log: Log) -> list[int] | None:
    """Change the hash of a file after an edit."""
    row = log.any("edits", "after_hash IS NOT NULL")
    return None if row is None else log.change("edits", row["seq"], after_hash="0" * 64)


def alter_adjustment(log: Log) -> list[int] | None:
    """Change the reason of a decision about the rest of a plan."""
    row = log.any("retrieval_decisions", "stage = 'adjustment'")
    return None if row is None else log.change("retrieval_decisions", row["seq"], reason="It went well.")


def alter_counts(log: Log) -> list[int] | None:
    """Let a test run have passed more."""
    row = log.any("test_runs")
    if row is None:
        return None
    counts = json.loads(row["counts"])
    counts["passed"] = counts.get("passed", 0) + 1
    return log.change("test_runs", row["seq"], counts=json.dumps(counts))


def alter_patch(log: Log) -> list[int] | None:
    """Add a line to the outcome's patch."""
    query = "SELECT patch_hash FROM outcomes WHERE task_run_id = :id AND attempt = :attempt"
    patch = log.text_of(log.connection.execute(text(query), log._key).scalar_one())
    if not patch:
        return None
    key = log.add_text(patch + "+# reviewed\n")
    update = "UPDATE outcomes SET patch_hash = :key WHERE task_run_id = :id AND attempt = :attempt"
    log.connection.execute(text(update), {**log._key, "key": key})
    return []


def alter_outcome(log: Log) -> list[int] | None:
    """Turn the outcome into its contrary, in the attempt and in the trajectory."""
    query = "SELECT kind FROM outcomes WHERE task_run_id = :id AND attempt = :attempt"
    kind = log.connection.execute(text(query), log._key).scalar_one()
    other = "tests-failed" if kind == "passed" else "passed"
    update = "UPDATE outcomes SET kind = :kind WHERE task_run_id = :id AND attempt = :attempt"
    log.connection.execute(text(update), {**log._key, "kind": other})
    update = "UPDATE task_runs SET outcome = :kind WHERE id = :id"
    log.connection.execute(text(update), {"id": log.trajectory, "kind": other})
    return []


def alter_verdict(log: Log) -> list[int] | None:
    """Let the verdict say, with an outcome that follows from it, the contrary of what its report shows."""
    query = """
        SELECT v.id, v.result_hash FROM outcomes o JOIN validations v ON v.id = o.validation_id
        WHERE o.task_run_id = :id AND o.attempt = :attempt
    """
    row = log.connection.execute(text(query), log._key).first()
    verdict = None if row is None else json.loads(log.text_of(row.result_hash))
    if row is None or verdict is None or not (verdict["f2p_passed"] or verdict["f2p_failed"]):
        return None
    passes = bool(verdict["f2p_failed"])
    tests = sorted(verdict["f2p_passed"] + verdict["f2p_failed"])
    kind = "passed" if passes else "tests-failed"
    verdict |= {"kind": kind, "f2p_passed": tests if passes else [], "f2p_failed": [] if passes else tests}
    verdict |= {"p2p_failed": [], "p2p_not_run": []}
    key = log.add_text(json.dumps(verdict, sort_keys=True, separators=(",", ":"), ensure_ascii=True))
    log.connection.execute(
        text("UPDATE validations SET result_hash = :key, kind = :kind WHERE id = :row"),
        {"key": key, "kind": kind, "row": row.id},
    )
    update = "UPDATE outcomes SET kind = :kind WHERE task_run_id = :id AND attempt = :attempt"
    log.connection.execute(text(update), {**log._key, "kind": kind})
    update = "UPDATE task_runs SET outcome = :kind WHERE id = :id"
    log.connection.execute(text(update), {"id": log.trajectory, "kind": kind})
    return []


def swap_answers(log: Log) -> list[int] | None:
    """Exchange the answers of two calls of one stage."""
    calls = log.rows("retrieval_llm_calls", "call_type IN ('code', 'scope', 'part_plan')")
    pairs = [
        (one, other)
        for one in calls
        for other in calls
        if one["call_type"] == other["call_type"] and one["response_hash"] < other["response_hash"]
    ]
    if not pairs:
        return None
    one, other = log.random.choice(pairs)
    log.change("retrieval_llm_calls", one["seq"], response_hash=other["response_hash"])
    log.change("retrieval_llm_calls", other["seq"], response_hash=one["response_hash"])
    return [one["seq"], other["seq"]]


def alter_stage(log: Log) -> list[int] | None:
    """Let a call be of another stage than its request."""
    call = log.any("retrieval_llm_calls", "call_type <> 'code'")
    return None if call is None else log.change("retrieval_llm_calls", call["seq"], call_type="code")


def unknown_stage(log: Log) -> list[int] | None:
    """Let a call be of a stage that there is not."""
    call = log.any("retrieval_llm_calls")
    return None if call is None else log.change("retrieval_llm_calls", call["seq"], call_type="review")


def alter_request_stage(log: Log) -> list[int] | None:
    """Let a call and its request be of a stage for which the request lacks what it needs."""
    call = log.any("retrieval_llm_calls", "call_type = 'meta_plan'")
    if call is None:
        return None
    question = json.loads(log.text_of(call["request_hash"])) | {"stage": "code"}
    key = log.add_text(json.dumps(question, sort_keys=True, separators=(",", ":"), ensure_ascii=True))
    return log.change("retrieval_llm_calls", call["seq"], request_hash=key, call_type="code")


def unreadable_verdict(log: Log) -> list[int] | None:
    """Store a text that is no verdict in place of one."""
    query = "SELECT validation_id FROM outcomes WHERE task_run_id = :id AND attempt = :attempt"
    row = log.connection.execute(text(query), log._key).scalar_one()
    if row is None:
        return None
    update = "UPDATE validations SET result_hash = :key WHERE id = :row"
    log.connection.execute(text(update), {"key": log.add_text("{}"), "row": row})
    return []


def damage_text(log: Log) -> list[int] | None:
    """Change a byte of a stored answer."""
    call = log.any("retrieval_llm_calls")
    if call is None:
        return None
    content = log.text_of(call["response_hash"]).encode("utf-8", "surrogatepass") + b" "
    update = "UPDATE blobs SET codec = 'raw', data = :data WHERE sha256 = :key"
    log.connection.execute(text(update), {"data": content, "key": call["response_hash"]})
    return []


PLANTS: dict[str, Plant] = {
    plant.__name__.replace("_", " "): plant
    for plant in (
        remove_row, alter_prompt, swap_prompts, alter_answer, alter_request, flip_judgement, invent_judgement,
        alter_plan, alter_rung, alter_hash, alter_adjustment, alter_counts, alter_patch, alter_outcome, damage_text,
        alter_verdict, swap_answers, alter_stage, unknown_stage, alter_request_stage, unreadable_verdict,
    )
}  # fmt: skip
