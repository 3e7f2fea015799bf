"""Cron expressions as the engine reads them."""

import asyncio
from datetime import UTC, datetime

from pydantic import ValidationError

from models.errors import UsageError


def seconds_until(cron: str, now: datetime | None = None) -> float:
    """Seconds until the next time that a cron expression names, in UTC. Raises UsageError for what is none."""
    from prefect.server.schemas.schedules import CronSchedule

    start = now or datetime.now(UTC)
    try:
        schedule = CronSchedule(cron=cron, timezone="UTC")
    except ValidationError as error:
        raise UsageError(
            f"--every {cron!a}: give hourly, daily, weekly, a number with m, h or d as in 12h, or a cron expression"
        ) from error
    [upcoming] = asyncio.run(schedule.get_dates(1, start=start))
    return max(1.0, float((upcoming - start).total_seconds()))
