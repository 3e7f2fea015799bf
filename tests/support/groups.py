"""Groups of tests that one process of xdist runs: those of a file, whose fixtures are then made once.

The attacks, a thousand tests of one file, are grouped by kind; the patches, whose sample is made once for all
processes, in parts. (The group marks of xdist 3.8 have no effect with pytest 9.2.)
"""

import zlib

from xdist.scheduler import LoadScopeScheduling

_ATTACKS = "test_attacks.py"
_PARTS = 4


def group_of(nodeid: str) -> str:
    """The group of a test."""
    file, _, test = nodeid.partition("::")
    if not file.endswith(_ATTACKS):
        return file
    kind = test.partition("[")[2].partition(":")[0]
    return f"{file}: {kind} {zlib.crc32(test.encode()) % _PARTS if kind == 'patches' else 0}"


class GroupScheduling(LoadScopeScheduling):
    """Gives groups to processes in the order in which they were collected."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
