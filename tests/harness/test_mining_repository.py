"""Facts and flags of repositories that say what they are in different ways."""

from pathlib import Path

import pytest

from harness.mining import licenses
from harness.mining.metadata import Metadata, from_pyproject, from_setup_cfg, from_setup_py
from harness.mining.repository import RepositoryFacts, describe, is_defensive_framework
from tests.support.mining_history import Entry, write_history

CODE = "x = 1\n\n" * 1_000
MIT = "MIT License\n\nPermission is hereby granted, free of charge, to any\nperson obtaining a copy\n"


def facts(tmp_path: Path, files: dict[str, str], source: str = "/somewhere/thing") -> RepositoryFacts:
    return describe(write_history(tmp_path / "r.git", [Entry("One", dict(files))]), "thing", source)


def test_an_ordinary_library_has_no_flags(tmp_path: Path) -> None:
    topics = '["Topic :: Software Development :: Libraries", "Topic :: Text Processing :: Markup"]'
    pyproject = f'[project]\nname = "thing"\nlicense = "MIT OR Apache-2.0"\nclassifiers = {topics}\n'
    told = facts(
        tmp_path,
        {"src/a.py": CODE, "tests/test_a.py": CODE, "docs/conf.py": CODE, "pyproject.toml": pyproject},
        "https://example.org/owner/thing.git",
    )
    assert told == RepositoryFacts("MIT OR Apache-2.0", "owner", "Text Processing :: Markup", 1_000, ())


def test_missing_python_missing_tests_and_odd_sizes_are_flagged(tmp_path: Path) -> None:
    assert facts(tmp_path, {"a.rb": "1\n"}).flags == ("size-out-of-range", "no-python", "no-tests")
    told = facts(tmp_path, {"a.js": "1\n", "LICENSE": MIT})
    assert told.flags == ("size-out-of-range", "no-tests")
    assert (told.license, told.organisation, told.domain, told.lines_of_code) == ("MIT", None, None, 1)


def test_the_same_content_twice_counts_twice(tmp_path: Path) -> None:
    assert facts(tmp_path, {"a.py": "1\n2\n", "b.py": "1\n2\n"}).lines_of_code == 4


@pytest.mark.parametrize(
    ("source", "owner"),
    [
        ("https://example.org/owner/thing", "owner"),
        ("git@example.org:owner/thing.git", "owner"),
        ("ssh://git@example.org:22/owner/thing", "owner"),
        ("/home/me/thing", None),
        ("../thing", None),
    ],
)
def test_the_organisation_is_the_owner_in_the_url(tmp_path: Path, source: str, owner: str | None) -> None:
    assert facts(tmp_path, {"a.py": "1\n"}, source).organisation == owner


@pytest.mark.parametrize(
    ("name", "metadata"),
    [
        ("Flask", Metadata()),
        ("repo", Metadata(name="celery")),
        ("repo", Metadata(summary="A tiny web framework")),
        ("repo", Metadata(keywords=("task queue",))),
        ("repo", Metadata(summary="The next generation HTTP client.")),
        ("repo", Metadata(classifiers=("Topic :: Internet :: WWW/HTTP :: WSGI :: Server",))),
    ],
)
def test_frameworks_that_keep_a_process_alive_are_recognised(name: str, metadata: Metadata) -> None:
    assert is_defensive_framework(name, metadata)


def test_a_library_that_only_works_with_frameworks_is_not_one() -> None:
    told = Metadata("svc", "A flexible service locator", "", ("flask", "di"), ("Framework :: FastAPI",))
    assert not is_defensive_framework("svc", told)


def test_metadata_is_read_from_every_kind_of_file() -> None:
    expected = Metadata("thing", "Does it", "MIT", ("a", "b"), ("Topic :: X",))
    table = 'name = "thing"\ndescription = "Does it"\nkeywords = ["a", "b"]\nclassifiers = ["Topic :: X"]\n'
    assert from_pyproject(f'[project]\n{table}license = {{text = "MIT"}}\n') == expected
    assert from_pyproject(f'[tool.poetry]\n{table}license = "MIT"\n') == expected
    lines = "name = thing\ndescription = Does it\nlicense = MIT\nkeywords = a, b\nclassifiers =\n  Topic :: X\n"
    assert from_setup_cfg(f"[metadata]\n{lines}") == expected
    script = 'import setuptools\nNAME = "thing"\nsetuptools.setup(name=NAME, description="Does it", license="MIT",'
    assert from_setup_py(f'{script} keywords=["a", "b"], classifiers=["Topic :: X"], version=read())') == expected


@pytest.mark.parametrize("read", [from_pyproject, from_setup_cfg, from_setup_py])
def test_files_that_cannot_be_read_say_nothing(read: object) -> None:
    assert callable(read)
    assert read("]] not = (anything") == Metadata()


@pytest.mark.parametrize(
    ("field", "classifiers", "expected"),
    [
        ("MIT", (), "MIT"),
        ("Apache-2.0 WITH LLVM-exception", (), "Apache-2.0 WITH LLVM-exception"),
        ("Apache License, Version 2.0", (), "Apache-2.0"),
        ("BSD", ("License :: OSI Approved :: MIT License",), "MIT"),
        ("", ("License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)",), "MPL-2.0"),
        (MIT * 3, (), "MIT"),
        ("see the file", (), None),
        ("", (), None),
    ],
)
def test_licenses_are_named_by_their_identifier(field: str, classifiers: tuple[str, ...], expected: str | None) -> None:
    assert licenses.from_metadata(field, classifiers) == expected
