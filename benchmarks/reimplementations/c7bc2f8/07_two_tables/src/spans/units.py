"""The units that durations are made of, largest first."""

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
LARGEST_FIRST = tuple(sorted(SECONDS, key=lambda unit: SECONDS[unit], reverse=True))
