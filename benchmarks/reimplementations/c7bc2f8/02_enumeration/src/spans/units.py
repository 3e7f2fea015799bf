"""The units that durations are made of, largest first."""

import enum


class Unit(enum.IntEnum):
    """Units by their sizes in seconds."""

    w = 7 * 24 * 60 * 60
    d = 24 * 60 * 60
    h = 60 * 60
    m = 60
    s = 1


SECONDS = {unit.name: unit for unit in Unit}
