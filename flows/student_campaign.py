"""The student-campaign flow: the small model works on the corpus, on a schedule or by hand."""

from typing import Annotated

from prefect import flow
from pydantic import Field

from flows.campaign import campaign, check_finished
from flows.packages import corpus_packages
from host.settings import load_settings
from models.campaign_settings import HOTTEST
from store.runs import CampaignReport

Temperature = Annotated[float, Field(ge=0, le=HOTTEST)]


@flow(name="student-campaign", flow_run_name="student-campaign {name}", persist_result=False)
def student_campaign(
    name: Annotated[str, Field(min_length=1)] = "student",
    packages: list[str] = [],  # noqa: B006 - never changed; the form shows it
    temperatures: Annotated[list[Temperature], Field(min_length=1)] = [0.6],  # noqa: B006
    samples: Annotated[int, Field(ge=1)] = 2,
    limit: Annotated[int | None, Field(ge=1)] = None,
) -> CampaignReport:
    """Run the student over the valid instances of repo packages and judge its patches by the repositories' own tests.

    What is finished is not run again: the same form goes on where an earlier run stopped. A changed corpus is a
    new campaign under the same name; a changed model or adapter works on every instance anew, in lines of its own.

    Args:
        name: label of the campaign in reports
        packages: folders of repo packages in the worker's corpus; none: all of them
        temperatures: each instance is worked on once per temperature and sample
        samples: samples per instance and temperature
        limit: instances per package, newest first; unset: all
    """
    report: CampaignReport = campaign(
        corpus_packages(packages, load_settings()),
        ["student"],
        name,
        temperatures=temperatures,
        samples=samples,
        limit=limit,
    )
    check_finished(report)
    return report
