"""The teacher-campaign flow: a teacher works on the corpus before the air gap, within a cap on cost."""

from typing import Annotated

from prefect import flow
from pydantic import Field

from flows.campaign import campaign, check_finished
from flows.packages import corpus_packages
from host.settings import load_settings
from models.campaign_settings import HOTTEST
from store.runs import CampaignReport

Temperature = Annotated[float, Field(ge=0, le=HOTTEST)]


@flow(name="teacher-campaign", flow_run_name="teacher-campaign {name}", persist_result=False)
def teacher_campaign(
    name: Annotated[str, Field(min_length=1)] = "teacher",
    packages: list[str] = [],  # noqa: B006 - never changed; the form shows it
    max_cost: Annotated[float, Field(ge=0)] = 5.0,
    temperatures: Annotated[list[Temperature], Field(min_length=1)] = [0.3, 0.6, 0.9],  # noqa: B006
    samples: Annotated[int, Field(ge=1)] = 1,
    limit: Annotated[int | None, Field(ge=1)] = None,
) -> CampaignReport:
    """Run the teacher over the valid instances of repo packages and judge its patches by the repositories' own tests.

    What is finished is not run again: the same form goes on where an earlier run stopped. At the cap on cost the run
    ends in order, and its report says so.

    Args:
        name: label of the campaign in reports
        packages: folders of repo packages in the worker's corpus; none: all of them
        max_cost: most that this run's calls may cost, in the currency of the price tables
        temperatures: each instance is worked on once per temperature and sample
        samples: samples per instance and temperature
        limit: instances per package, newest first; unset: all
    """
    report: CampaignReport = campaign(
        corpus_packages(packages, load_settings()),
        ["teacher"],
        name,
        temperatures=temperatures,
        samples=samples,
        limit=limit,
        max_cost=max_cost,
    )
    check_finished(report)
    return report
