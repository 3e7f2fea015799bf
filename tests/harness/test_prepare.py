"""What a commit's environment is asked for."""

from harness.environments import Project, discover
from harness.prepare import with_dropped


def project(*requires: str) -> Project:
    text = '[project]\nname = "little"\ndependencies = [' + ", ".join(f'"{each}"' for each in requires) + "]\n"
    return discover({"pyproject.toml": text.encode()}.get, ["pyproject.toml"])


def test_what_only_the_parent_required_stays_in() -> None:
    both = with_dropped(project("anyio", "attrs>=2"), project("attrs>=1", "pytest-asyncio!=0.22.0"))
    assert both.requires == ("anyio", "attrs>=2", "pytest", "pytest-asyncio!=0.22.0")


def test_nothing_is_added_when_nothing_was_dropped() -> None:
    own = project("anyio")
    assert with_dropped(own, own) == own
    assert with_dropped(own, project()) == own
