"""The first schema of the raw database, and the triggers that make it append-only."""

import sqlalchemy as sa
from alembic import op

revision = "raw_0001"
down_revision = None

APPEND_ONLY = (
    "blobs", "repo_packages", "instances", "campaigns", "campaign_runs", "validations", "outcomes",
    "retrieval_llm_calls", "retrieval_decisions", "plans", "edits", "test_runs",
    "training_datasets", "training_plans",
)  # fmt: skip


def upgrade() -> None:
    """Create the tables, parents before children, then the triggers."""
    _corpus()
    _campaigns()
    _outcomes()
    _calls()
    _work()
    _training()
    if op.get_bind().dialect.name == "sqlite":
        _guard_sqlite()
    else:
        _guard_postgresql()


def _guard_sqlite() -> None:
    for table in APPEND_ONLY:
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
    op.execute(
        "CREATE TRIGGER task_runs_no_update BEFORE UPDATE ON task_runs WHEN OLD.closed_at IS NOT NULL "
        "BEGIN SELECT RAISE(ABORT, 'task_runs is append-only once a trajectory is closed'); END"
    )
    op.execute(
        "CREATE TRIGGER task_runs_no_delete BEFORE DELETE ON task_runs "
        "BEGIN SELECT RAISE(ABORT, 'task_runs is append-only'); END"
    )


def _guard_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION cra_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ "
        "BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
    )
    refuse = "EXECUTE FUNCTION cra_append_only()"
    for table in APPEND_ONLY:
        op.execute(f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW {refuse}")
    for table in (*APPEND_ONLY, "task_runs"):
        op.execute(f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT {refuse}")
    op.execute(
        "CREATE TRIGGER task_runs_no_update BEFORE UPDATE ON task_runs FOR EACH ROW "
        f"WHEN (OLD.closed_at IS NOT NULL) {refuse}"
    )
    op.execute(f"CREATE TRIGGER task_runs_no_delete BEFORE DELETE ON task_runs FOR EACH ROW {refuse}")


def _corpus() -> None:
    op.create_table(
        "blobs",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("codec", sa.String(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sha256"),
    )
    op.create_table(
        "repo_packages",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("head", sa.String(), nullable=False),
        sa.Column("manifest_hash", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["manifest_hash"], ["blobs.sha256"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_repo_packages_name", "repo_packages", ["name"])
    op.create_table(
        "instances",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("instance_id", sa.String(), nullable=False),
        sa.Column("package_id", sa.String(), nullable=False),
        sa.Column("repository", sa.String(), nullable=False),
        sa.Column("commit", sa.String(), nullable=False),
        sa.Column("base_commit", sa.String(), nullable=False),
        sa.Column("environment", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("spec_hash", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["package_id"], ["repo_packages.id"]),
        sa.ForeignKeyConstraint(["spec_hash"], ["blobs.sha256"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_instances_instance_id", "instances", ["instance_id"])
    op.create_index("ix_instances_package_id", "instances", ["package_id"])


def _campaigns() -> None:
    op.create_table(
        "campaigns",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "campaign_runs",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("flow_run_id", sa.String(), nullable=False),
        sa.Column("packages", sa.JSON(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_campaign_runs_campaign_id", "campaign_runs", ["campaign_id"])
    op.create_index("ix_campaign_runs_name_started_at", "campaign_runs", ["name", "started_at"])
    op.create_table(
        "task_runs",
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("instance_id", sa.String(), nullable=False),
        sa.Column("planner", sa.String(), nullable=False),
        sa.Column("planner_hash", sa.String(), nullable=False),
        sa.Column("temperature", sa.Float(), nullable=False),
        sa.Column("sample", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_attempt", sa.Integer(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("success", sa.Boolean(), nullable=True),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"]),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"]),
        sa.ForeignKeyConstraint(["planner_hash"], ["blobs.sha256"]),
        sa.PrimaryKeyConstraint("campaign_id", "id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_task_runs_id", "task_runs", ["id"])
    op.create_index("ix_task_runs_instance_id", "task_runs", ["instance_id"])


def _outcomes() -> None:
    op.create_table(
        "validations",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("instance_id", sa.String(), nullable=False),
        sa.Column("oracle", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("result_hash", sa.String(), nullable=False),
        sa.Column("report_hash", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"]),
        sa.ForeignKeyConstraint(["result_hash"], ["blobs.sha256"]),
        sa.ForeignKeyConstraint(["report_hash"], ["blobs.sha256"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_validations_instance_id", "validations", ["instance_id"])
    op.create_table(
        "outcomes",
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("task_run_id", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("blame", sa.String(), nullable=False),
        sa.Column("oracle", sa.String(), nullable=True),
        sa.Column("validation_id", sa.String(), nullable=True),
        sa.Column("patch_hash", sa.String(), nullable=False),
        sa.Column("alignment", sa.JSON(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id", "task_run_id"], ["task_runs.campaign_id", "task_runs.id"]),
        sa.ForeignKeyConstraint(["patch_hash"], ["blobs.sha256"]),
        sa.ForeignKeyConstraint(["validation_id"], ["validations.id"]),
        sa.PrimaryKeyConstraint("campaign_id", "task_run_id", "attempt"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_outcomes_kind", "outcomes", ["kind"])


def _calls() -> None:
    op.create_table(
        "retrieval_llm_calls",
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("task_run_id", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("call_type", sa.String(), nullable=False),
        sa.Column("part_id", sa.Text(), nullable=True),
        sa.Column("step_id", sa.Text(), nullable=True),
        sa.Column("step_attempt", sa.Integer(), nullable=False),
        sa.Column("request_hash", sa.String(), nullable=False),
        sa.Column("prompt_hash", sa.String(), nullable=True),
        sa.Column("response_hash", sa.String(), nullable=False),
        sa.Column("reasoning_hash", sa.String(), nullable=True),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("adapter", sa.String(), nullable=True),
        sa.Column("temperature", sa.Float(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=True),
        sa.Column("finish_reason", sa.String(), nullable=False),
        sa.Column("prompt_tokens", sa.Integer(), nullable=False),
        sa.Column("completion_tokens", sa.Integer(), nullable=False),
        sa.Column("cost", sa.Float(), nullable=False),
        sa.Column("latency", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id", "task_run_id"], ["task_runs.campaign_id", "task_runs.id"]),
        sa.ForeignKeyConstraint(["prompt_hash"], ["blobs.sha256"]),
        sa.ForeignKeyConstraint(["reasoning_hash"], ["blobs.sha256"]),
        sa.ForeignKeyConstraint(["request_hash"], ["blobs.sha256"]),
        sa.ForeignKeyConstraint(["response_hash"], ["blobs.sha256"]),
        sa.PrimaryKeyConstraint("campaign_id", "task_run_id", "attempt", "seq"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_retrieval_llm_calls_call_type", "retrieval_llm_calls", ["call_type"])
    op.create_table(
        "retrieval_decisions",
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("task_run_id", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id", "task_run_id"], ["task_runs.campaign_id", "task_runs.id"]),
        sa.PrimaryKeyConstraint("campaign_id", "task_run_id", "attempt", "seq"),
        sqlite_with_rowid=False,
    )


def _work() -> None:
    op.create_table(
        "plans",
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("task_run_id", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("part_id", sa.Text(), nullable=True),
        sa.Column("plan_hash", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id", "task_run_id"], ["task_runs.campaign_id", "task_runs.id"]),
        sa.ForeignKeyConstraint(["plan_hash"], ["blobs.sha256"]),
        sa.PrimaryKeyConstraint("campaign_id", "task_run_id", "attempt", "seq"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "edits",
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("task_run_id", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("part_id", sa.Text(), nullable=False),
        sa.Column("step_id", sa.Text(), nullable=False),
        sa.Column("step_attempt", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("edit_hash", sa.String(), nullable=False),
        sa.Column("rung", sa.String(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("before_hash", sa.String(), nullable=True),
        sa.Column("after_hash", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["campaign_id", "task_run_id"], ["task_runs.campaign_id", "task_runs.id"]),
        sa.ForeignKeyConstraint(["edit_hash"], ["blobs.sha256"]),
        sa.PrimaryKeyConstraint("campaign_id", "task_run_id", "attempt", "seq"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "test_runs",
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("task_run_id", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("end", sa.String(), nullable=False),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("report_hash", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id", "task_run_id"], ["task_runs.campaign_id", "task_runs.id"]),
        sa.ForeignKeyConstraint(["report_hash"], ["blobs.sha256"]),
        sa.PrimaryKeyConstraint("campaign_id", "task_run_id", "attempt", "seq"),
        sqlite_with_rowid=False,
    )


def _training() -> None:
    op.create_table(
        "training_datasets",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("examples", sa.Integer(), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("content_hash", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["content_hash"], ["blobs.sha256"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_training_datasets_source", "training_datasets", ["source"])
    op.create_index("ix_training_datasets_stage", "training_datasets", ["stage"])
    op.create_table(
        "training_plans",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("base", sa.String(), nullable=False),
        sa.Column("dataset_id", sa.String(), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["training_datasets.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_training_plans_dataset_id", "training_plans", ["dataset_id"])
    op.create_index("ix_training_plans_stage", "training_plans", ["stage"])
