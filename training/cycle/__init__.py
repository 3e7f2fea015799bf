"""The self-improvement cycle: rules, rounds, and how adapters are asked while they are measured."""
