"""What a build of a candidate's tree may give: nothing that decides a test run and that no build of the commit, or of
its parent, gives."""

import re
import shutil
from collections.abc import Iterable

from harness.validation.tampering import Tampered
from runtime.environments import Installation
from runtime.testing import RUNNERS

_GROUP = re.compile(r"\[[\w.:-]+\]")
_POINT = re.compile(r"[\w][\w .:+-]*?\s*=\s*[\w.]+(?:\s*:\s*[\w.]+)?(?:\s*\[[\w ,.-]*\])?")
_CONFIGURATION = frozenset(name for runner in RUNNERS.values() for name in runner.configuration_files)


def refuse_foreign_build(built: Installation, honest: Iterable[Installation]) -> None:
    """Raise Tampered if a candidate's build differs from all `honest` ones in what decides a test run.

    That are import roots, modules beside the tree, shared namespaces, plugins of the runner, its configuration, and
    scripts in place of the system's programs. An own module can only be added where the sources are.
    """
    known = list(honest)
    roots = {root for each in known for root in each.import_roots}
    if foreign := set(built.import_roots) - roots:
        raise Tampered(
            f"the build puts {min(foreign) or 'the root'} on the import path, as no build of the commit does"
        )
    beside = {name for each in known for name in _beside(each)}
    if foreign := _beside(built) - beside:
        raise Tampered(f"the build puts {min(foreign)} beside the tree, as no build of the commit does")
    namespaces = {name for each in known for name in each.namespaces}
    if foreign := built.namespaces.keys() - namespaces:
        raise Tampered(f"the build shares the namespace {min(foreign)}, as no build of the commit does")
    if runner_plugins(built) not in [runner_plugins(each) for each in known]:
        raise Tampered("the build registers other plugins of the test runner than the parent and the commit")
    added = {path for each in known for path in each.additions}
    steering = {path for path in built.additions if path.rpartition("/")[2] in _CONFIGURATION}
    if foreign := steering - added:
        raise Tampered(f"the build writes {min(foreign)}, which can configure the test runner")
    scripts = {name for each in known for name in each.scripts}
    for name in sorted(built.scripts.keys() - scripts):
        if shutil.which(name, path="/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin") is not None:
            raise Tampered(f"the build puts a script in place of the program {name}")


def _beside(installation: Installation) -> set[str]:
    """The top-level names beside the tree that can be imported: not the distribution's metadata."""
    return {path.split("/")[0] for path in installation.site if not path.split("/")[0].endswith(".dist-info")}


def runner_plugins(installation: Installation) -> frozenset[tuple[str, str]]:
    """Names and targets of the plugins for test runners that an installation's metadata register.

    A list of entry points that different versions of Python may read differently counts with its whole text.
    """
    groups = {runner.plugin_group for runner in RUNNERS.values()}
    found: set[tuple[str, str]] = set()
    for path, (content, _) in installation.site.items():
        if not path.endswith(".dist-info/entry_points.txt"):
            continue
        text, group = content.decode(errors="replace"), ""
        for line in filter(None, map(str.rstrip, text.splitlines())):
            if _GROUP.fullmatch(line):
                group = line[1:-1]
            elif not group or not _POINT.fullmatch(line):
                return frozenset({("entry_points.txt", text)})
            elif group in groups:
                name, _, target = line.partition("=")
                found.add((name.strip(), target.strip()))
    return frozenset(found)
