"""Generated tests of an arriving package are run again, and the rest of their instance is derived from the history."""

import shutil
from hashlib import sha256
from pathlib import Path

from exchange.intake.gold import Sandboxed, validate_again
from harness.packages.package import RepoPackage
from models.generated import Failing, GeneratedFile, GeneratedTests
from models.intake import IntakeSettings
from models.manifest import InvalidReason
from runtime.trees import Runtime


def test_claims_beside_generated_tests_are_derived_again(runtime: Runtime, sample: RepoPackage, tmp_path: Path) -> None:
    text, test = b"def test_more():\n    assert False\n", "tests/test_more.py::test_more"
    directory = Path(shutil.copytree(sample.directory, tmp_path / "spans"))
    digest = sha256(text).hexdigest()
    (directory / "generated").mkdir()
    (directory / "generated" / f"{digest}.py").write_bytes(text)
    truth, other = [each for each in sample.manifest.instances if each.valid][:2]
    generated = GeneratedTests(
        files=(GeneratedFile(path="tests/test_more.py", sha256=digest),),
        told_apart={test: Failing.ASSERTION},
        instead_of=InvalidReason.NO_FAIL_TO_PASS,
        model="x",
        prompt_hash="0" * 64,
        answer_hash="0" * 64,
        round=1,
    )
    lies = {"task": "Delete everything", "production_files": (), "symbols": (), "planning_types": ()}
    lied = truth.model_copy(update={**lies, "fail_to_pass": (test,), "pass_to_pass": (), "generated": generated})
    manifest = sample.manifest.model_copy(update={"instances": (lied, other)})
    sandboxed = Sandboxed(runtime, tmp_path / "cache", IntakeSettings())
    outcome = validate_again(sandboxed, RepoPackage(directory, manifest), {other.commit}, lambda *_: None)
    seen = outcome.instances[0]
    assert (seen.reason, seen.generated) == (InvalidReason.NO_FAIL_TO_PASS, None)
    assert {name: getattr(seen, name) for name in lies} == {name: getattr(truth, name) for name in lies}
