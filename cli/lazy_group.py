"""A group of commands whose modules are imported when a command is used, so that the list of commands loads none."""

import keyword
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group


class LazyGroup(TyperGroup):
    """Group whose commands are placeholders with a line of help until they are looked up by name to be run."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Replace the placeholder of the first word by its command."""
        if isinstance(self.commands.get(args[0]), Placeholder):
            self.commands[args[0]] = load_command(args[0])
        return super().resolve_command(ctx, args)


class Placeholder(TyperCommand):
    """Command that is not imported yet."""


def add_placeholder(app: typer.Typer, name: str, help_line: str) -> None:
    """List a command under its name without importing it."""
    app.command(name, cls=Placeholder, help=help_line)(lambda: None)


def load_command(name: str) -> Any:
    """Import a command: of `cli.train_plan` for `train-plan`, the function `train_plan`, or the group `app`."""
    attribute = name.replace("-", "_") + "_" * keyword.iskeyword(name)
    module = import_module(f"cli.{attribute}")
    holder = typer.Typer(pretty_exceptions_enable=False)
    if isinstance(group := getattr(module, "app", None), typer.Typer):
        holder.add_typer(group, name=name)
    else:
        holder.command(name)(getattr(module, attribute))
    return get_group(holder).commands[name]
