"""What `cra prepare` shows at its end, and how it shares its time."""

import pytest

from cli.reasons import print_reasons
from flows.prepare import TimeLimits
from models.causes import Cause, Layer, TestCategory
from models.manifest import ExcludedTest, Instance, InvalidReason, Manifest, MiningFunnel


def instance(number: int, **fields: object) -> Instance:
    lists = {"planning_types": (), "production_files": (), "test_files": (), "environment": "e"}
    names = {"instance_id": f"a__{number}", "commit": f"{number:040x}", "base_commit": "0" * 40, "task": "t"}
    return Instance(**{**names, **lists, **fields})


def manifest(*instances: Instance) -> Manifest:
    return Manifest(
        name="a", source="local:a", license=None, organisation=None, domain=None, head="0" * 40, python="3.12",
        test_command=(), lines_of_code=1, instances=instances,
        funnel=MiningFunnel(total=9, dropped={}, needs_message=0, kept=8, mixed=6),
    )  # fmt: skip


def test_causes_are_shown_by_layer_and_what_they_quote_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = Cause(layer=Layer.IMPORT, error="ImportError", text="\x1b[31mred[/bold]", remedy="mend it")
    network = ExcludedTest(id="t.py::a", reason="needs the network", category=TestCategory.MISSING_NETWORK)
    print_reasons(
        [
            manifest(
                instance(1, excluded=(network,)),
                instance(2, reason=InvalidReason.COLLECTION_ERROR, cause=hostile),
                instance(3, reason=InvalidReason.NO_WHEEL, cause=Cause(layer=Layer.DOWNLOAD, text="none")),
            )
        ],
        {"a": 1},
    )
    shown = capsys.readouterr().out
    assert "\x1b[31mred" not in shown
    assert "\\x1b[31mred[/bold]" in shown
    assert shown.index("download") < shown.index("import ")
    assert "missing-network" in shown


def test_nothing_is_shown_of_no_packages(capsys: pytest.CaptureFixture[str]) -> None:
    print_reasons([], {})
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("limits", "seconds"),
    [
        (TimeLimits(), None),
        (TimeLimits(commit=2), 120),
        (TimeLimits(repository=10), 120),
        (TimeLimits(commit=1, repository=10), 60),
        (TimeLimits(commit=5, repository=10), 120),
    ],
)
def test_minutes_of_a_repository_are_shared_among_its_commits(limits: TimeLimits, seconds: float | None) -> None:
    assert limits.of_each(10, 2) == seconds
    assert limits.of_each(0, 1) == (limits.commit * 60 if limits.commit else None)
