"""A newer Python that the wheels of its day had not reached is seen by what its lock falls back to."""

from datetime import date

import pytest

from models.errors import EnvironmentFault
from models.manifest import Environment
from runtime.environments.eras import check_runner, eras_of, fell_back


def locked(**versions: str) -> Environment:
    lines = [f"{name}=={version} \\\n    --hash=sha256:{'0' * 64}" for name, version in versions.items()]
    return Environment(
        key="k", python="3.12", abi="cp312", requires=(), cutoff="2023-11-20", lock="\n".join(lines) + "\n", wheels=()
    )


def test_an_older_release_on_the_newer_python_is_a_fallback() -> None:
    assert fell_back(locked(aiohttp="1.0.5", idna="3.4"), locked(aiohttp="3.9.0", idna="3.4"))


def test_the_same_or_newer_releases_are_none() -> None:
    assert not fell_back(locked(numpy="2.1", idna="3.4"), locked(numpy="2.0", idna="3.4"))


def test_packages_that_only_one_of_them_needs_do_not_count() -> None:
    assert not fell_back(locked(idna="3.4"), locked(idna="3.4", tomli="2.0.1"))


def test_a_commit_from_before_every_pytest_that_can_be_run_gets_a_later_one_at_last() -> None:
    eras = eras_of(date(2010, 10, 1), date(2010, 10, 8), frozenset())
    assert not eras[0].later
    assert "pytest" in eras[-1].later
    assert eras[-1].cutoff == date(2010, 10, 9)  # of everything else no later release counts


def test_a_commit_with_a_pytest_of_its_day_gets_no_later_one() -> None:
    assert not any(era.later for era in eras_of(date(2024, 1, 1), date(2024, 1, 1), frozenset()))


@pytest.mark.parametrize("version", ["2.9.2", "3.0.2", "3.8.2"])
def test_a_pytest_that_cannot_be_run_here_is_no_environment(version: str) -> None:
    with pytest.raises(EnvironmentFault, match=version):
        check_runner(locked(py="1.4.31", pytest=version))


@pytest.mark.parametrize("version", ["3.9.0", "3.10.1", "9.0.2"])
def test_every_later_pytest_is(version: str) -> None:
    check_runner(locked(pytest=version))
