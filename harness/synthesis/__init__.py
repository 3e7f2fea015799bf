"""Training pairs from mined commits without any test run: the gold planner's answers to the prompts of a student.

    mine -> the parent's index -> retrieval, plans and code by the gold planner, in memory -> the files compared with
    the commit's -> the calls, as trajectories of the raw database that no test judged

What cannot be said in edits, or does not give the commit's files byte for byte, is refused and counted.
"""
