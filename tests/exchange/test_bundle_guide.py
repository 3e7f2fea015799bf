"""The page of a bundle names what the other machine must have and the bundle does not bring."""

from exchange.bundle.guide import guide


def test_the_pythons_that_packages_need_are_named_where_they_do_not_travel() -> None:
    plain = guide("3.11", "linux-x86_64", None, split=False)
    assert "3.13" not in plain
    assert "need Python 3.8, 3.13, which is not in this bundle" in guide(
        "3.11", "linux-x86_64", None, ["3.8", "3.13"], split=False
    )


def test_a_bundle_of_dumps_says_how_they_are_restored() -> None:
    restoring = "cra bundle restore"
    assert restoring in guide("3.11", "linux-x86_64", None, split=False, dumps=True)
    assert restoring not in guide("3.11", "linux-x86_64", None, split=False)
