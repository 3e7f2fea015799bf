"""Public datasets as examples of the code stage: their true schemas, licences, and which rows are kept."""
