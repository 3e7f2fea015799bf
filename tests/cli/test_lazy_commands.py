"""Commands are imported when they are used: what the list of commands says is what each command says of itself."""

import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from cli.lazy_group import load_command
from cli.main import COMMANDS, app

HELP_OF_ALL = """
import sys
from typer.testing import CliRunner
from cli.main import COMMANDS, app
for name in COMMANDS:
    assert CliRunner().invoke(app, [name, "--help"]).exit_code == 0, name
print(sorted({"prefect", "torch", "transformers", "trl", "peft", "xllamacpp"} & set(sys.modules)))
"""


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_holds_the_first_paragraph_of_a_commands_help(name: str) -> None:
    command = load_command(name)
    assert command.name == name
    assert " ".join(command.help.partition("\n\n")[0].split()) == COMMANDS[name]


def test_the_help_of_a_command_loads_neither_the_engine_nor_a_training_library() -> None:
    done = subprocess.run([sys.executable, "-c", HELP_OF_ALL], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


@pytest.mark.parametrize(
    ("words", "offered"),
    [("cra self", {"self-improve"}), ("cra bases ad", {"add", "adopt"}), ("cra train sc", {"scope"})],
)
def test_the_shell_completes_commands_and_what_they_take(words: str, offered: set[str]) -> None:
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")), "_CRA_COMPLETE": "complete_bash"}
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv = ['cra']\nfrom cli.main import main; main()"],
        env={**os.environ, **asked}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert set(done.stdout.split()) == offered


def test_an_unknown_command_is_refused_and_a_near_one_is_proposed() -> None:
    refused = CliRunner().invoke(app, ["self-improv"])
    assert refused.exit_code == 2
    assert "self-improve" in refused.output
