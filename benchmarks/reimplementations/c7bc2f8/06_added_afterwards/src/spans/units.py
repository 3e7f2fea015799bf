"""The units that durations are made of, largest first."""

SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
SECONDS = {"w": 7 * SECONDS["d"], **SECONDS}
