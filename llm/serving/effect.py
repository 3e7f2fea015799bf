"""The effect of an adapter on the answers of a configured endpoint, measured as `cra serve` measures it."""

from llm.service import Service
from llm.serving.probe import Probe, TokenScores, llama_request, read_llama, read_vllm, vllm_request


def adapter_effect(service: Service, adapter: str) -> float | None:
    """Mean difference, in nats, between the answers with an adapter that the endpoint serves and those of its base.

    None where the server reports no log-probabilities: it is neither vLLM nor llama.cpp. Raises ServingError if the
    adapter changes nothing, ProviderError if the server does not answer.
    """
    facts = service.facts()
    if facts.dialect is None:
        return None

    def scores(wanted: str | None) -> TokenScores:
        if facts.dialect == "vllm":
            return read_vllm(service.wire.ask("/v1/completions", vllm_request(wanted or service.settings.model)))
        return read_llama(service.wire.ask("/completion", llama_request(facts.adapters, wanted)))

    return Probe(scores).effect(adapter)
