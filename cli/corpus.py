"""`cra corpus`: repo packages, as they are."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from cli.mine import print_flag
from cli.output import console, counted, errors, print_json, printable, table
from harness.packages.package import package_findings, read_package
from harness.packages.reach import late_environments, misstated_reaches, self_provided
from models.manifest import Environment, Manifest
from runtime.environments.node import archives_of

app = typer.Typer(help="Look at repo packages.", no_args_is_help=True)


@app.command()
def show(
    directory: Annotated[Path, typer.Argument(metavar="PACKAGE", help="A repo package.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Also check every wheel; say everything that is wrong, a line for each.")
    ] = False,
) -> None:
    """Show instances (valid, or why not), environments and wheels."""
    if check:
        _check(directory, as_json)
    package = read_package(directory)
    if as_json:
        print_json({**package.manifest.model_dump(mode="json"), "identity": package.identity})
    else:
        print_manifest(directory, package.manifest)


def _check(directory: Path, as_json: bool) -> None:
    """Print what is wrong with a package and end with 1, or return if nothing is. Nothing of the package is run."""
    findings = package_findings(directory)
    if not findings:
        package = read_package(directory)
        findings = [*misstated_reaches(package), *self_provided(package)]
        for warning in late_environments(package):
            errors.print(f"warning: {directory}: {warning}", markup=False, soft_wrap=True)
    if not findings:
        return
    if as_json:
        print_json({"package": directory, "findings": [finding.__dict__ for finding in findings]})
    else:
        for finding in findings:
            typer.echo(f"{directory}: {finding}")
    raise typer.Exit(1)


def _late(environment: Environment) -> str:
    """How many days after the commit's parent an environment reaches; "?" in packages that do not say."""
    return "?" if environment.days_after is None else str(environment.days_after)


def print_manifest(directory: Path, manifest: Manifest) -> None:
    """Tables for people: instances, environments, and a line that sums them up."""
    rows = []
    for instance in manifest.instances:
        state = Text("valid", "green") if instance.reason is None else Text(instance.reason.value, "yellow")
        environment = (instance.environment or "-")[:8]
        tests = f"{len(instance.fail_to_pass)} / {len(instance.pass_to_pass)}" if instance.valid else "-"
        task = printable(instance.task.strip().partition("\n")[0])
        what = task if instance.valid else f"{task}\n{printable(instance.detail)}"
        if (sampled := instance.sampled) is not None:
            what += f"\n({len(sampled.files)} of {sampled.of} test files are run)"
        rows.append((instance.commit[:10], state, environment, tests, what))
    table(f"{manifest.name}: instances", ["commit", "state", "env", "F2P / P2P", "task"], rows)
    tested = {instance.environment for instance in manifest.instances}
    table(
        f"{manifest.name}: environments",
        ["key", "for", "runs", "files", "up to", "days late", "requires"],
        [
            (
                e.key[:8],
                "tests" if e.key in tested else "builds",
                e.python or e.abi,
                len(e.wheels) + len(archives_of(e)),
                e.cutoff,
                _late(e) if e.key in tested else "",
                ", ".join(e.requires)[:90],
            )
            for e in manifest.environments
        ],
        right=["files", "days late"],
    )
    for each in manifest.environments:
        if each.late_because:
            print_flag(
                f"environment {each.key[:8]} reaches {each.days_after} days past its commit's parent: "
                f"{each.late_because}"
            )
    valid = sum(i.valid for i in manifest.instances)
    console.print(
        f"[bold]{directory}[/]: {valid} of {len(manifest.instances)} commits valid, "
        f"{counted(len(manifest.environments), 'environment')}, {len(manifest.wheels)} wheels, "
        f"identity {manifest.identity()[:12]}"
    )
    for flag in manifest.flags:
        print_flag(flag)
