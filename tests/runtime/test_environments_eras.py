"""A newer Python that the wheels of its day had not reached is seen by what its lock falls back to."""

from models.manifest import Environment
from runtime.environments.eras import fell_back


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
