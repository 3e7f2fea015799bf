"""The serving path asked while the rehearsal's adapter is promoted, and again after its rollback.

A question of gold's is put to the student as a campaign would: by the router, which follows the promoted adapters, to
the configured endpoint. Each answer is a row of the rehearsal's raw database; who answered is read back from it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from harness.audit.record import AttemptLog
from harness.runs.model_pool import ModelPool, seed_of
from llm.service import Service, open_service
from llm.serving.effect import adapter_effect
from models.errors import EvaluationError, NotOperational
from models.llm_settings import EMBEDDED
from models.manifest import Manifest
from models.outcomes import OutcomeKind
from models.protocols import Request
from training.adapters.registry import AdapterVersion
from training.bases.bases import find_base
from training.cycle.context import TrainingContext
from training.cycle.rehearsal.workspace import TARGET
from training.cycle.student_runs import STUDENT, load_on_student

SERVED_CAMPAIGN = "rehearsal served"
_MOST_TRAJECTORIES = 1000


class ServedAnswer(NamedTuple):
    """Who answered, as the answer's row has it: the endpoint, its model, the served name of the adapter (empty: the
    base alone); and the trajectory that holds the row, with the answer's text."""

    endpoint: str
    model: str
    adapter: str
    trajectory: str
    text: str


@dataclass(frozen=True)
class ServingPath:
    """The student's endpoint, asked a question that gold answered about these packages in the campaign `gold`."""

    context: TrainingContext
    gold: str
    manifests: Sequence[Manifest]

    def gap(self, version: AdapterVersion) -> str:
        """Why an adapter cannot be asked here; empty if it can. It is loaded, and the active one, where servers do so.

        Raises NoAnswer if the server does not respond, and for the embedded model as `make_ready` does.
        """
        settings, base = self.context.settings, find_base(self.context.curated, version.base)
        name = settings.models.roles.reasoning
        if settings.models.endpoint(name).base not in (base.name, base.id):
            return (
                f"endpoint {name!r} is not configured to serve base {base.name}; "
                f'set base = "{base.name}" under [models.endpoints.{name}]'
            )
        try:
            for each in (self.context.registry.active(TARGET), version):
                if each is not None and each.base == base.id:
                    load_on_student(self.context, TARGET, base, each)
        except EvaluationError as error:
            return f"{error}; start the server with `cra serve`, which loads what is promoted"
        if settings.models.endpoint(name).url == EMBEDDED:
            return ""
        facts = self._service.facts(fresh=True)
        if facts.models and version.served not in {*facts.models, *facts.adapters}:
            return (
                f"endpoint {name!r} loads adapters at its start only; "
                "serve this base by `cra serve` with vLLM, or by the embedded model, to rehearse a promotion there"
            )
        return ""

    def ask(self, sample: int) -> ServedAnswer:
        """The answer to the question of a sample's number, by whoever serves now; asked once, then read back.

        Raises ProviderError if the endpoint does not answer, SettingsError if it does not serve what is promoted.
        """
        keys = self._registered()
        if (known := self._recorded(sample)) is not None:
            return known
        request, instance = self._question(keys)
        settings, raw = self.context.settings, self.context.raw
        models = ModelPool(settings.models, curated=settings.curated_url)
        planner = models.planner(STUDENT, None, 0.0, seed_of(instance, 0))
        key = raw.open_trajectory(self._campaign, instance, STUDENT, planner.identity, 0.0, sample)
        attempt = raw.begin_attempt(key)
        assert attempt is not None, "a closed one is on record"
        raw.recorder(key, attempt).call(request, planner.answer(request))
        raw.close_trajectory(key, attempt, OutcomeKind.UNTESTED, detail="one question, to see who answers")
        answered = self._recorded(sample)
        assert answered is not None, "it was stored just now"
        return answered

    def effect(self, version: AdapterVersion) -> float | None:
        """The adapter's mean effect on the endpoint's probabilities, in nats; None where it reports none.

        Raises ServingError if it has none.
        """
        return adapter_effect(self._service, version.served)

    @property
    def _service(self) -> Service:
        models = self.context.settings.models
        return open_service(models.roles.reasoning, models.endpoint(models.roles.reasoning))

    @property
    def _campaign(self) -> str:
        return self.context.raw.register_campaign({"kind": SERVED_CAMPAIGN})

    def _registered(self) -> dict[str, str]:
        """Record the campaign over the packages; the keys of their instances, by name."""
        raw = self.context.raw
        raw.start_run(self._campaign, SERVED_CAMPAIGN, "", [])
        return {name: key for each in self.manifests for name, key in raw.register_package(each).items()}

    def _question(self, keys: Mapping[str, str]) -> tuple[Request, str]:
        """The first question of the target's stage that gold answered about these instances, and its instance's key."""
        raw, stages = self.context.raw, {stage.value for stage in TARGET.stages}
        for line in raw.trajectories(self.gold, _MOST_TRAJECTORIES):
            if line.planner == "gold" and line.instance in keys:
                log = AttemptLog(raw, raw.trace(line.id))
                for call in log.calls:
                    if call.stage in stages:
                        return log.request(call), keys[line.instance]
        raise NotOperational(f"no answer of gold to a question of {TARGET.value} is on record; rehearse again")

    def _recorded(self, sample: int) -> ServedAnswer | None:
        """The answer of a sample that is on record."""
        raw = self.context.raw
        for line in raw.trajectories(SERVED_CAMPAIGN, _MOST_TRAJECTORIES):
            trace = raw.trace(line.id)
            if trace.sample == sample and trace.closed_at is not None:
                [call] = AttemptLog(raw, trace).calls
                return ServedAnswer(call.endpoint, call.model, call.adapter or "", trace.id, call.response)
        return None
