"""From stored triples to adapters: data, training, registry, export.

Weights and tokenizers are local files. The libraries beneath would ask a model hub about a base by its name, at each
checkpoint for one; they are told that there is none, before any of them is imported.
"""

import os

for _name in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
    os.environ.setdefault(_name, "1")
