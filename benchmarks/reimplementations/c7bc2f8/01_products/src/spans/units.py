"""The units that durations are made of, largest first."""

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WEEK = 7 * DAY

SECONDS = dict(w=WEEK, d=DAY, h=HOUR, m=MINUTE, s=1)
