"""From stored triples to adapters: data, training, registry, export.

Weights and tokenizers are local files. The libraries would look up a base by its name on a model hub, for instance at
each checkpoint; they are switched to offline mode before any of them is imported.
"""

import os

for _name in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
    os.environ.setdefault(_name, "1")
