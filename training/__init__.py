"""From stored triples to adapters: data, training, registry, export.

Weights and tokenizers are local files. The libraries would look up a base by its name on a model hub, for instance at
each checkpoint; they are switched to offline mode before any of them is imported.
"""

from host.offline import disable_telemetry

disable_telemetry()
