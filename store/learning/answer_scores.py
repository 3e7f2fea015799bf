"""Teachers' scores of answers, keyed by the texts of prompt and answer."""

from sqlalchemy import Connection, Engine, select

from models.plans import Frozen
from models.protocols import Stage
from store.rows import add, writing
from store.tables import AnswerScore, table_of
from store.texts import Texts

_SCORES = table_of(AnswerScore)
AnswerScores = dict[tuple[str, str, str], float]
"""Stage, hash of the prompt and hash of the answer -> score from 0 to 1; with several teachers, the last one's."""


class Opinion(Frozen):
    """A teacher's score, from 0 to 1, and what it cost."""

    score: float
    reason: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    cost: float


def read_scores(connection: Connection) -> AnswerScores:
    """All scores."""
    rows = connection.execute(select(_SCORES).order_by(_SCORES.c.created_at, _SCORES.c.id))
    return {(row.stage, row.prompt_hash, row.response_hash): row.score for row in rows}


def scored_keys(connection: Connection) -> set[str]:
    """The keys of all scores."""
    return set(connection.scalars(select(_SCORES.c.id)))


def add_score(
    raw: Engine, key: str, stage: Stage, prompt_hash: str, response_hash: str, scorer: str, opinion: Opinion
) -> None:
    """Store a teacher's score of an answer; the first one stays. `scorer` is the teacher's identity."""
    texts = Texts()
    row = AnswerScore(
        id=key,
        stage=stage.value,
        prompt_hash=prompt_hash,
        response_hash=response_hash,
        scorer_hash=texts.add(scorer),
        **opinion.model_dump(),
    )
    with writing(raw, texts) as connection:
        add(connection, row)
