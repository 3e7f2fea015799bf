"""From stored triples to adapters: data, training, registry, export."""
