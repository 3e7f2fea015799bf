"""Raw: the origin of generated tests, and measurements of test quality."""

from datetime import datetime

from sqlmodel import Field

from store.tables.base import RawTable, UtcDateTime, utc_now


class SupplementRound(RawTable, table=True):
    """One request to a teacher for an instance's missing tests, its answer, and the result.

    `instance_id` is the instance without them. `answer_hash` is empty if nothing was asked, `refusal` if the answer was
    accepted. The trial, with the reason for each test, is a text. Tokens are counts, `cost` is in
    the provider's currency, `latency` in seconds.
    """

    __tablename__ = "supplement_rounds"

    id: str = Field(primary_key=True)
    instance_id: str = Field(foreign_key="instances.id", index=True)
    number: int
    prompt_hash: str = Field(foreign_key="blobs.sha256")
    answer_hash: str | None = Field(foreign_key="blobs.sha256")
    files_hash: str = Field(foreign_key="blobs.sha256")
    trial_hash: str = Field(foreign_key="blobs.sha256")
    model: str
    finish_reason: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    cost: float
    latency: float
    refusal: str | None = Field(index=True)
    taken: bool
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class TestQualityRow(RawTable, table=True):
    """The quality of tests against a patch of an instance: `id` is the hash of all that it depends on.

    `changed` executable lines of the patch, `missed` of them not run; `total` reverted hunks, `killed` of them noticed.
    `coverage` is empty where the patch has no executable lines. The whole measurement is a text.
    """

    __test__ = False  # keeps pytest from collecting it
    __tablename__ = "test_quality"

    id: str = Field(primary_key=True)
    instance_id: str = Field(foreign_key="instances.id", index=True)
    patch_hash: str
    tests_hash: str
    coverage: float | None
    changed: int
    missed: int
    killed: int
    total: int
    seconds: float
    result_hash: str = Field(foreign_key="blobs.sha256")
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
