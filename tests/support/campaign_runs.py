"""Campaigns over the sample repository, and models that a scripted server plays in them."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import text

from agent.edits.format import format_edits
from harness.packages.gold_patch import read_gold_patch
from harness.packages.package import RepoPackage
from harness.planners import GoldPlanner
from host.settings import load_settings
from models.edits import Edit, EditFormat
from models.manifest import Instance
from store.database import open_database
from store.runs import CampaignReport, RawStore, open_raw_store


def newest(package: RepoPackage) -> Instance:
    return next(instance for instance in package.manifest.instances if instance.valid)


def run(package: RepoPackage, *planners: str, **options: Any) -> CampaignReport:
    from flows.campaign import campaign

    return campaign([package.directory], list(planners), "c", **({"limit": 1} | options))


def store() -> RawStore:
    return open_raw_store(load_settings().raw_url)


def rows(query: str) -> list[tuple[Any, ...]]:
    with open_database(load_settings().raw_url, "raw").connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def gold_code(package: RepoPackage, instance: Instance) -> str:
    """All of an instance's production change, as a coder would answer."""
    gold = GoldPlanner(read_gold_patch(package.git, instance.commit, instance.base_commit), EditFormat.SEARCH_REPLACE)
    files = {change.path: change.before and change.before.text for change in gold.gold.production}
    edits: list[Edit] = []
    for part in gold.plan.meta.in_order():
        for step in gold.plan.part_plans[part.id].in_order():
            edits += gold.edits(step, files)
    return format_edits(edits)


def coding(answer: str) -> Callable[[dict[str, Any]], str]:
    """A model that can code and makes no sense of any other question."""

    def script(request: dict[str, Any]) -> str:
        return answer if "You write one step" in request["messages"][0]["content"] else "I cannot say."

    return script
