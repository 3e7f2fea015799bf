"""`cra`: the table of commands. Nothing heavy is imported before a command is used."""

import os
import sys
from typing import Annotated

import typer

from cli.lazy_group import LazyGroup, add_placeholder
from host.offline import disable_telemetry
from host.process import find_own_programs
from models.errors import CleanRoomError

COMMANDS = {
    "demo": (
        "Build a sample repository, mine, package and gold-validate it, and run a gold and a null campaign over it."
    ),
    "mine": "Show the funnel: how many commits, why each was dropped, what is kept.",
    "messages": "Describe the changes of commits whose own messages are no tasks.",
    "prepare": "Make repo packages: mine, lock environments, fetch wheels, gold-validate, write the manifest.",
    "supplement": "Let the teacher write tests for commits that have none which fail before and pass after.",
    "campaign": "Run planners over the valid instances of repo packages and judge each by the repository's own tests.",
    "report": ("Show what came of a campaign: outcomes, pass rates with intervals, calls, cost and faults by stage."),
    "review": "Plans for a person to read, and the verdicts on them.",
    "answers": "The answers that are kept and replayed; bad ones can be taken back.",
    "trace": "Show every decision, plan, edit and test run behind one outcome.",
    "audit": (
        "Check that each log follows from itself: texts, order, prompts, judgements, plans, edits, patch, outcome."
    ),
    "index": "Index a revision of a repository: symbols, imports, tests, history. What is known is not parsed again.",
    "retrieve": (
        "List the files that a task is about, best first, each with its reason; with a model, as it judges them."
    ),
    "relevance": "The classifier that says what files and symbols are to a task, without a language model.",
    "plan": (
        "Show how a task would be done: the files that matter, the parts, and the steps of each part. Changes nothing."
    ),
    "solve": "Do a task on a repository: retrieve, plan, code and test step by step, and print the change as a diff.",
    "view": (
        "Show a campaign's trajectories in a browser: outcomes, stage at fault, prompts, answers, edits, test runs."
    ),
    "export": "Print the valid instances of a campaign or a repo package as JSON lines, or export what a campaign did.",
    "import": "Read instances in the SWE-bench format, check them, and show what they are.",
    "synthesize": "Make training pairs for all stages from the commits of repositories, without running any test.",
    "datasets": "Public datasets: which are known, what a file holds, examples made of them.",
    "score-answers": "Have the teacher score the student's own answers in runs that passed.",
    "fail-fast": "How Python code handles errors: a score with the lines that lower it.",
    "critic": "A critic: which of two versions of code is better by a named criterion. It never trains the coder.",
    "plans": "Plans in histories: found, followed to the commits that did them, labelled by what came of them.",
    "curate-data": "Make a versioned dataset of what runs have shown: examples, preferences, a card.",
    "train-plan": "Say which stage is weakest, why, and what data would help; the plan is kept under the id it prints.",
    "train": "Measure the champion, train an adapter, measure it, and let it serve if a gate says so.",
    "self-improve": "Let the student solve commits, learn from what passed, and serve what a gate lets in.",
    "operate": (
        "Run rounds of self-improvement unattended, within the disk, until a rule, a plateau or a lack of repositories."
    ),
    "evaluate": "Have two subjects answer the newest frozen set of a stage, and say what a gate makes of it.",
    "probe": "What a model attends to, by questions with known answers.",
    "study": "Experiments on real repositories, resumable, each with a page of tables and plots.",
    "distill": "The teacher's examples before it ends: what the corpus lacks, and what filling it takes.",
    "outsource": "Train on another machine: pack a folder, verify it, accept what comes back.",
    "bundle": "Everything for a machine without a network: plan a bundle, make it, verify it, restore its databases.",
    "export-adapter": (
        "Write an adapter for other programs, and refuse an export that answers otherwise than what was trained."
    ),
    "serve": (
        "Serve a base with every active adapter, and follow promotions and rollbacks while it runs. Ctrl-C ends it."
    ),
    "up": (
        "Start the server, a worker, and what heals after a kill; make work pool, deployments and automation on it."
    ),
    "down": "Stop what `cra up` started, and only that: worker with its flow runs, server, database, supervisor.",
    "worker": "Take flow runs of the server's work pool and run them here, one at a time, until Ctrl-C.",
    "status": (
        "Show server, programs, workers, runs, databases, last campaigns and disks, and what is wrong with them."
    ),
    "rehearse": (
        'Run the complete loop once on the repo packages here, and say "operational" or the first thing that is not.'
    ),
    "doctor": (
        "Check what a campaign needs: sandbox, git, uv, interpreters, models, keys, trainers, vLLM, databases, "
        "server, disk, clock."
    ),
    "backup": "Copy all databases, and the logs of operation and intake, into a directory; everything may go on.",
    "validate": "Judge patches by the hidden tests of their instances, as a campaign judges its candidates.",
    "corpus": "Look at repo packages.",
    "package": "Make a repo package on a medium, for a machine without network.",
    "ingest": (
        "Take repo packages from a medium into the corpus: `cra ingest DIR`. Each is copied into quarantine, checked, "
        "validated in the sandbox, moved in one step, and recorded."
    ),
    "sandbox": "Run commands in the sandbox that tests get.",
    "config": "Settings and where they come from.",
    "models": "The models that answer, and where they are served.",
    "bases": "The frozen models that adapters are trained on.",
    "adapters": "Trained adapters: which serve, why, and are they intact.",
    "eval-sets": "Held-out questions with known answers; frozen for good.",
}
"""The first paragraph of each command's help, in the order of `cra --help`. A command is imported when it is used, from
the module that bears its name."""

app = typer.Typer(
    name="cra",
    cls=LazyGroup,
    help="A self-improving coding agent for small local models, judged by real commits and their own tests.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name, _line in COMMANDS.items():
    add_placeholder(app, _name, _line)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("clean-room-agent"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    # The engine is quiet and keeps to itself unless the user says otherwise.
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_SERVER_LOGGING_LEVEL", "CRITICAL")  # it may be ended in the middle of a write
    disable_telemetry()
    find_own_programs()
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")


def main() -> None:
    """Entry point: errors of ours end in one line and their exit code; anything else is a bug with its traceback."""
    try:
        app()
    except CleanRoomError as error:
        from rich.console import Console
        from rich.text import Text

        Console(stderr=True).print(Text.assemble(("error: ", "bold red"), str(error)), soft_wrap=True)
        sys.exit(error.exit_code)
