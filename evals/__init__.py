"""How good the parts are: retrieval and, stage by stage, the models, on commits nobody tuned on."""
