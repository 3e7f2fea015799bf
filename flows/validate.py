"""The validate flow: external patches get the same verdicts as a campaign's candidates."""

import threading
from collections import Counter
from pathlib import Path

from prefect import flow, tags
from prefect.artifacts import create_table_artifact
from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner

from exchange.predictions import read_prediction_file
from flows.progress import progress_listener
from flows.window import completed
from harness.lifecycle.attempt import fault_of
from harness.packages.contents import package_content
from harness.packages.package import RepoPackage, read_package
from host.settings import load_settings
from models.errors import CleanRoomError
from models.manifest import Instance
from models.plans import Frozen
from models.predictions import Judged
from store.runs import RawStore, open_raw_store
from tasks.define import opaque_argument
from tasks.runtime import open_runtime
from tasks.validate import PredictionCase, judge_case

InstancesById = dict[str, tuple[RepoPackage, Instance, str]]


class ValidateReport(Frozen):
    """The judgement of each prediction, in the order of the file."""

    lines: tuple[Judged, ...]

    def counts(self) -> dict[str, int]:
        """Predictions by outcome."""
        return dict(sorted(Counter(line.outcome for line in self.lines).items()))


@flow(name="validate", flow_run_name="validate", persist_result=False)
def validate(predictions: Path, packages: list[Path], sandbox: str | None = None) -> ValidateReport:
    """Judge the predictions of a file over the instances of repo packages, except those already judged."""
    settings = load_settings()
    runtime, store = open_runtime(settings, sandbox), open_raw_store(settings.raw_url)
    wanted = read_prediction_file(predictions)
    known = known_instances(store, [read_package(Path(path)) for path in packages])
    slots = threading.BoundedSemaphore(settings.concurrency)
    cases = [PredictionCase(each, known.get(each.instance_id), store, runtime, slots) for each in wanted]
    report = ValidateReport(lines=tuple(_run(cases, settings.concurrency)))
    rows = [line.model_dump(mode="json") for line in report.lines]
    create_table_artifact(key="validate", table=rows, description="Verdicts on predictions")
    return report


def known_instances(store: RawStore, packages: list[RepoPackage]) -> InstancesById:
    """Instances by id, with their package and key; for a duplicate id the first package counts."""
    known: InstancesById = {}
    for package in packages:
        keys = store.register_package(package.manifest, package_content(package))
        for instance in package.manifest.instances:
            known.setdefault(instance.instance_id, (package, instance, keys[instance.instance_id]))
    return known


def _run(cases: list[PredictionCase], at_a_time: int) -> list[Judged]:
    watch = progress_listener()
    watch.start("validate", len(cases))
    found: dict[int, Judged] = {}
    with ThreadPoolTaskRunner[Judged](max_workers=at_a_time) as runner, tags("validate"):

        def submit(numbered: tuple[int, PredictionCase]) -> PrefectFuture[Judged]:
            case = numbered[1]
            one = judge_case.with_options(tags=case.tags)
            return runner.submit(one, {"label": case.label, "case": opaque_argument(case)})

        for (number, case), future in completed(enumerate(cases), submit, at_a_time):
            ended = future.result(raise_on_failure=False)
            found[number] = _fault(case, ended) if isinstance(ended, BaseException) else ended
            watch.advance("validate", f"{case.label}: {found[number].outcome}")
    return [found[number] for number in range(len(cases))]


def _fault(case: PredictionCase, error: BaseException) -> Judged:
    """A prediction without a verdict because of a fault, which the same command retries."""
    kind = fault_of(error) if isinstance(error, Exception) else None
    return Judged(
        instance_id=case.prediction.instance_id,
        model_name_or_path=case.prediction.model_name_or_path,
        outcome=kind.value if kind else "interrupted",
        reason=str(error) if isinstance(error, CleanRoomError) else f"{type(error).__name__}: {error}",
        undecided=True,
    )
