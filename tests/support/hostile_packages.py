"""Hostile packages: each is an honest one with one thing changed."""

from tests.support.hostile_base import Hostile
from tests.support.hostile_crafted import CRAFTED
from tests.support.hostile_further import FURTHER
from tests.support.hostile_histories import HISTORIES
from tests.support.hostile_trees import TREES
from tests.support.hostile_wheels import WHEELS

PACKAGES: tuple[Hostile, ...] = (*TREES, *WHEELS, *HISTORIES, *FURTHER, *CRAFTED)
