"""`cra sandbox`: run a command in exactly the sandbox that tests get, and see what that sandbox holds."""

import contextlib
import sys
from pathlib import Path
from typing import Annotated, cast, get_args

import typer
from rich.console import Console
from rich.table import Table

from host.settings import load_settings
from host.throwaway import throwaway
from models.errors import UsageError
from models.limits import MIB
from runtime.sandbox import ProcessEnd, SandboxKind, open_sandbox
from runtime.sandbox.opening import limits_of, tested

app = typer.Typer(no_args_is_help=True, help="Run commands in the sandbox that tests get.")
_TIMED_OUT, _KILLED = 124, 137


@app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def run(
    command: Annotated[list[str], typer.Argument(help="The command and its arguments, after `--`.")],
    workdir: Annotated[
        Path | None,
        typer.Option(help="Directory to run in; the command may write it. Default: an empty one."),
    ] = None,
    sandbox: Annotated[str | None, typer.Option(help="auto, bubblewrap, or none (only for code you trust).")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds until everything is killed.")] = None,
    memory: Annotated[int | None, typer.Option(help="MiB of memory for the whole process tree.")] = None,
) -> None:
    """Run a command without network, without privileges and with hard limits; exit with its exit code.

    Limits and kind of sandbox are those of the settings, as for tests, unless options say otherwise. 124 means a
    time-out, 137 a command that was killed for another limit.
    """
    settings = load_settings()
    for option, value in (("--timeout", timeout), ("--memory", memory)):
        if value is not None and value <= 0:
            raise UsageError(f"{option} {value:g} must be above 0")
    if workdir is not None and not workdir.is_dir():
        raise UsageError(f"--workdir {workdir} is not a directory; make it first")
    box = open_sandbox(_kind(sandbox or settings.sandbox), notify=False)  # what is printed is the command's
    changed = {
        **({} if timeout is None else {"wall_seconds": timeout}),
        **({} if memory is None else {"memory_bytes": memory * MIB}),
    }
    limits = settings.limits.model_copy(update=changed)
    with contextlib.ExitStack() as stack:
        if workdir is None:
            workdir = stack.enter_context(throwaway("cra-sandbox-"))
        done = box.run(command, workdir=workdir.resolve(), limits=limits, echo=sys.stdout.buffer)
    if done.exit_code is None:
        print(f"cra: killed after {done.seconds:.1f} s: {done.ending.value}", file=sys.stderr)
        raise typer.Exit(_TIMED_OUT if done.ending is ProcessEnd.TIMEOUT else _KILLED)
    raise typer.Exit(done.exit_code)


@app.command()
def check() -> None:
    """Show what the sandbox's self-test found; exit with 3 when isolation is not to be had."""
    box, findings = tested()
    table = Table("sandboxed code", "holds", title=f"{box.kind}: {box.program}")
    for finding in findings:
        table.add_row(finding.claim, "yes")
    held = Table("limit", "held by", "by the kernel")
    for limit in limits_of(box):
        held.add_row(limit.what, limit.held_by, "yes" if limit.by_kernel else "no")
    for each in (table, held):
        Console().print(each)


def _kind(name: str) -> SandboxKind:
    for kind in get_args(SandboxKind):
        if name == kind:
            return cast(SandboxKind, kind)
    raise UsageError(f"--sandbox {name}: give {', '.join(get_args(SandboxKind))}")
