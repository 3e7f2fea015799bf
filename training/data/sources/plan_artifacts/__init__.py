"""Plans that people followed: plan files in histories, the commits that did them, and how well that went.

    histories -> plan files (recognise) -> what they name (places) -> later commits (following) -> label (labels)
    plan text -> MetaPlan and PartPlans (mapping), with the context of the parent's index -> pairs (pairs)

A plan is judged by what its history shows; what no rule covers is `unclear`.
"""
