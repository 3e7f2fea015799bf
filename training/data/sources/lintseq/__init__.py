"""LintSeq: a program as a sequence of edits, each of which leaves it free of new faults.

After Piterbarg, Pinto and Fergus, "Training Language Models on Synthetic Edit Sequences Improves Code Synthesis" (ICLR
2025). Statements are deleted at random, and with each those that a linter then complains about, until nothing is left;
read backwards, the states are a way to write the program. Written anew: statements instead of indented lines, names
instead of a type inference that depends on the installed packages, and every example proven by replay.
"""
