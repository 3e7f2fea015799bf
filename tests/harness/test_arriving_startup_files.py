"""A `.pth` file of a namespace package may be what setuptools writes, and nothing else."""

import zipfile
from pathlib import Path

import pytest

from harness.packages.checks.arriving_wheels import check_wheel_roles
from models.errors import PackageRefused
from models.intake import RefusalReason
from tests.support.hostile_wheels import make_wheel

_OLD = (
    "import sys, types, os;has_mfs = sys.version_info > (3, 5);"
    "p = os.path.join(sys._getframe(1).f_locals['sitedir'], *('zope',));"
    "importlib = has_mfs and __import__('importlib.util');has_mfs and __import__('importlib.machinery');"
    "m = has_mfs and sys.modules.setdefault('zope', importlib.util.module_from_spec("
    "importlib.machinery.PathFinder.find_spec('zope', [os.path.dirname(p)])));"
    "m = m or sys.modules.setdefault('zope', types.ModuleType('zope'));"
    "mp = (m or []) and m.__dict__.setdefault('__path__',[]);(p not in mp) and mp.append(p)\n"
)
_NESTED = (
    _OLD.replace("'zope'", "'zope.app'")
    .replace("*('zope.app',)", "*('zope', 'app')")
    .replace("mp.append(p)", "mp.append(p);m and setattr(sys.modules['zope'], 'app', m)")
)
_NEW = _OLD.replace("has_mfs = sys.version_info > (3, 5);", "").replace("has_mfs and ", "")


@pytest.mark.parametrize("text", [_OLD, _NESTED, _NEW, _OLD + _NESTED])
def test_what_setuptools_writes_is_accepted(text: str, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, {"extra-1.0-py3.12-nspkg.pth": text.encode()})
    with zipfile.ZipFile(wheel) as archive:
        assert check_wheel_roles(wheel) == sum(each.file_size for each in archive.infolist())


@pytest.mark.parametrize(
    "text",
    [
        _OLD.replace("mp.append(p)", "mp.append(p);os.system('x')"),
        _OLD.replace("'importlib.util'", "'evil'"),
        _OLD.replace("'zope'", "'json'"),
        _OLD.replace("'zope'", "'_pytest'"),
        _NESTED.replace("sys.modules['zope']", "sys.modules['os']"),
        "import extra\n",
        "/tmp\n",
        "\n" * (1 << 17),
    ],
)
def test_anything_else_is_refused(text: str, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, {"extra-1.0-nspkg.pth": text.encode()})
    with pytest.raises(PackageRefused) as refused:
        check_wheel_roles(wheel)
    assert refused.value.reason is RefusalReason.WHEEL_STARTUP
