"""How often rounds begin: `hourly`, `daily`, `weekly`, or a number of minutes, hours or days (`30m`, `12h`, `7d`).

Cron expressions are read where the engine is (`flows/cron.py`).
"""

import re

_NAMED = {"hourly": 3600, "daily": 86400, "weekly": 7 * 86400}
_UNITS = {"m": 60, "h": 3600, "d": 86400}
_INTERVAL = re.compile(r"([1-9][0-9]{0,4})([mhd])")


def interval_seconds(schedule: str) -> int | None:
    """Seconds from one round's beginning to the next one's; None for what is no interval."""
    if schedule in _NAMED:
        return _NAMED[schedule]
    match = _INTERVAL.fullmatch(schedule)
    return None if match is None else int(match[1]) * _UNITS[match[2]]
