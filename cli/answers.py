"""`cra answers`: the answers of models that are kept and replayed, and how to take back bad ones."""

import re
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli.options import JsonOption
from cli.output import console, counted, errors, print_json, printable, table
from host.settings import load_settings
from models.errors import UsageError
from models.protocols import Stage
from store.database import open_database
from store.runs.answers import AUDIT
from store.runs.voiding import (
    AnswerChoice,
    Forgotten,
    attempts_with,
    forget_answers,
    known_endpoints,
    list_answers,
    reopened_among,
)

if TYPE_CHECKING:
    from store.database import Engine
    from store.learning.evaluations import CampaignEvaluation
    from training.data.voided import AffectedDataset

app = typer.Typer(help="The answers that are kept and replayed; bad ones can be taken back.", no_args_is_help=True)

_AGO = re.compile(r"(\d+)\s*(m|h|d|w)")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_TIMES = (
    "An ISO date or time, local unless it names a zone (2026-05-01, 2026-05-01T14:00, ...T14:00Z), or 90m, 2h, 3d ago."
)

SinceOption = Annotated[str | None, typer.Option("--since", metavar="TIME", help=f"Given then or later. {_TIMES}")]
UntilOption = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Given before then.")]
StageOption = Annotated[
    list[str] | None,
    typer.Option("--stage", help="Only answers of this stage, or `audit`: to audits; repeat for several."),
]


@app.callback()
def _group() -> None:
    """The answers that are kept and replayed; bad ones can be taken back."""


@app.command("list")
def list_(
    endpoint: Annotated[str | None, typer.Option("--endpoint", help="Only answers of this endpoint.")] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    stage: StageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Count the answers that are kept, by day, endpoint, stage and model, with their tokens and what they cost.

    A kept answer is replayed wherever the same question is asked again, unless it is void.
    """
    choice = _choice(endpoint, since, until, stage)
    groups = list_answers(_raw(), choice)
    if as_json:
        print_json({"since": _iso(choice.since), "until": _iso(choice.until), "answers": groups})
        return
    numbers = ["answers", "void", "tokens in", "tokens out", "cost"]
    table(
        f"Answers{_window(choice)}",
        ["day (UTC)", "endpoint", "stage", "model", *numbers],
        [
            (
                each.day,
                printable(each.endpoint) or "-",
                each.stage,
                printable(each.model),
                each.answers,
                each.void or "-",
                each.prompt_tokens,
                each.completion_tokens,
                f"{each.cost:.4f}",
            )
            for each in groups
        ],
        right=numbers,
    )
    total, void = sum(each.answers for each in groups), sum(each.void for each in groups)
    console.print(f"{counted(total, 'answer')}, {void} of them void, cost {sum(each.cost for each in groups):.4f}")


@app.command()
def forget(
    endpoint: Annotated[str, typer.Option("--endpoint", help="The endpoint whose answers are bad.")],
    since: Annotated[str, typer.Option("--since", metavar="TIME", help=f"Given then or later. {_TIMES}")],
    until: UntilOption = None,
    stage: StageOption = None,
    reason: Annotated[
        str, typer.Option("--reason", help="Why; `cra trace` shows it.")
    ] = "its answers were taken back with `cra answers forget`",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Declare an endpoint's answers void, and open the trajectories again that rest on them.

    Nothing is deleted: the answers, the attempts and their outcomes stay, and `cra trace` shows them. The next run of a
    campaign asks anew, and pays for it. Stop running campaigns first; what one of them closes meanwhile is found when
    the same command is given again. Exits with 2 for an endpoint of which no answer is kept.
    """
    choice, engine = _choice(endpoint, since, until, stage), _raw()
    _require_known(engine, endpoint)
    ask = not (yes or dry_run)
    if ask and (as_json or not sys.stdin.isatty()):
        raise UsageError("there is no terminal to ask on; give --yes, or --dry-run to see what would be done")
    cause = f"endpoint {endpoint}: {reason}"
    found = forget_answers(engine, choice, cause, dry_run=ask or dry_run)
    if not (ask or dry_run):
        _set_aside_sessions(engine)
    datasets, evaluations = _learned_from(engine, choice, found)
    if not as_json:
        _print(choice, found, would=ask or dry_run)
        _warn(found, datasets, evaluations)
    if ask and (found.answers or found.trajectories):
        errors.print("go on? \\[y/N] ", end="")
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise UsageError("nothing was changed; --dry-run shows the same without a question")
        found = forget_answers(engine, choice, cause)
        _set_aside_sessions(engine)
        _print(choice, found, would=False)
    if as_json:
        print_json(
            {
                "dry_run": dry_run,
                "since": _iso(choice.since),
                "until": _iso(choice.until),
                **found.model_dump(mode="json"),
                "trajectories": found.trajectories,
                "datasets": datasets,
                "evaluations": evaluations,
            }
        )


def parse_time(text: str, option: str, now: datetime) -> datetime:
    """A time in UTC: an ISO date or time, local without a zone, or a span before `now`. Raises UsageError."""
    if ago := _AGO.fullmatch(text.strip()):
        try:
            return (now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})).astimezone(UTC)
        except OverflowError as error:
            raise UsageError(f"{option} {text}: that is too long ago") from error
    try:
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"{option} {text!r} is no time; give one as in 2026-05-01, 2026-05-01T14:00, 2026-05-01T14:00+02:00, "
            "2h or 3d"
        ) from error


def _choice(endpoint: str | None, since: str | None, until: str | None, stage: list[str] | None) -> AnswerChoice:
    now = datetime.now(UTC)
    begin = None if since is None else parse_time(since, "--since", now)
    end = None if until is None else parse_time(until, "--until", now)
    if begin and end and begin >= end:
        raise UsageError(f"--since {since} is not before --until {until}; exchange them")
    return AnswerChoice(endpoint=endpoint, since=begin, until=end, stages=tuple(map(_stage, stage or ())))


def _stage(name: str) -> Stage | Literal["audit"]:
    """A stage by its name, or the place of audits. Raises UsageError."""
    if name == AUDIT:
        return AUDIT
    if name not in list(Stage):
        raise UsageError(f"--stage {name}: no such stage; there are {', '.join([*Stage, AUDIT])}")
    return Stage(name)


def _raw() -> "Engine":
    return open_database(load_settings().raw_url, "raw")


def _require_known(engine: "Engine", endpoint: str) -> None:
    known = known_endpoints(engine)
    if endpoint not in known:
        have = f"there are answers of {', '.join(known)}" if known else "there are none at all"
        raise UsageError(f"no answer of endpoint {endpoint!r} is kept; {have} (`cra answers list`)")


def _set_aside_sessions(engine: "Engine") -> None:
    """Rename the results on file of `cra solve` whose trajectories are open again, so that they are not returned."""
    folder = load_settings().data_dir / "sessions"
    files = {path.stem: path for path in folder.glob("*.json")}
    for trajectory, attempt in reopened_among(engine, files).items():
        path = files[trajectory]
        path.rename(path.with_name(f"{trajectory}.void-{attempt}.json"))


def _learned_from(
    engine: "Engine", choice: AnswerChoice, found: Forgotten
) -> "tuple[list[AffectedDataset], list[CampaignEvaluation]]":
    """Datasets and evaluations that hold what the answers led to."""
    if not found.used_in:
        return [], []
    from store.learning.evaluations import evaluations_on
    from training.data.voided import affected_datasets

    settings = load_settings()
    curated = open_database(settings.curated_url, "curated")
    attempts = attempts_with(engine, choice)
    datasets = affected_datasets(engine, curated, settings.data_dir, attempts, choice.since)
    return datasets, evaluations_on(engine, found.used_in)


def _print(choice: AnswerChoice, found: Forgotten, *, would: bool) -> None:
    before = f"; {found.void_before} more void before" if found.void_before else ""
    stages = f" at {', '.join(choice.stages)}" if choice.stages else ""
    console.print(
        f"{'would be void' if would else 'void now'}: {counted(found.answers, 'answer')} of endpoint "
        f"{choice.endpoint}{stages}{_window(choice)}, cost {found.cost:.4f}{before}",
        markup=False,
        soft_wrap=True,
    )
    names = (f"{each.trajectories} of {printable(each.name)} ({each.id[:12]})" for each in found.campaigns)
    where = f": {', '.join(names)}" if found.campaigns else ""
    console.print(
        f"{'would be opened again' if would else 'opened again'}: "
        f"{counted(found.trajectories, 'trajectory', 'trajectories')}{where}",
        markup=False,
        soft_wrap=True,
    )
    if found.trajectories and not would:
        console.print("[dim]next: the same `cra campaign` or `cra solve` commands; they ask anew, and pay for it[/]")


def _warn(found: Forgotten, datasets: "list[AffectedDataset]", evaluations: "list[CampaignEvaluation]") -> None:
    said = []
    if found.running:
        said.append(
            f"{counted(found.running, 'unfinished attempt')} used such answers; give the same command again when "
            "no campaign is running"
        )
    for dataset in datasets:
        holds = "may hold" if dataset.examples is None else f"holds {dataset.examples}"
        trained = f"; trained on it: {', '.join(dataset.adapters)}" if dataset.adapters else ""
        said.append(f"dataset {dataset.name} {holds} examples from attempts with such answers; curate again{trained}")
    for evaluation in evaluations:
        subject = f"adapter {evaluation.adapter[:12]}" if evaluation.adapter else "the base"
        said.append(
            f"evaluation {evaluation.id[:12]} of {evaluation.target} ({subject}) rests on campaign "
            f"{evaluation.campaign[:12]} and keeps its scores"
        )
    for line in said:
        errors.print(f"warning: {line}", style="yellow", markup=False, soft_wrap=True)


def _window(choice: AnswerChoice) -> str:
    """The times of a choice, both in UTC and in local time."""
    parts = [f"{word} {_shown(time)}" for word, time in (("since", choice.since), ("before", choice.until)) if time]
    return f" given {' and '.join(parts)}" if parts else ""


def _shown(time: datetime) -> str:
    local = time.astimezone()
    utc = f"{time:%Y-%m-%d %H:%M:%S} UTC"
    return utc if not local.utcoffset() else f"{local:%Y-%m-%d %H:%M:%S %Z} ({utc})"


def _iso(time: datetime | None) -> Any:
    return time and time.isoformat()
