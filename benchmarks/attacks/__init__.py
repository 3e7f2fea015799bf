"""Attacks on verdicts, packages, the sandbox and the engine, run for real.

`python -m benchmarks.attacks` prints the table. One module per kind, each with `attacks()`, which gives its cases. A
case is tried in an empty directory of its own. It returns normally, with a line that says how it was held, or raises
`GotThrough` with what happened. A case that cannot be held in principle names its row of the table of residual risks in
docs/sandbox.md, and is counted apart.
"""
