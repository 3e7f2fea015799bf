"""Every threshold by which plans are followed and labelled, in one place, with its reason.

They were set before the labels were compared with those given by hand (`evals/plan_artifacts.md`).
"""

WINDOW_DAYS, WINDOW_COMMITS = 60.0, 150
"""How far a plan is followed at all: two months, or what a busy project does in them."""
GAP_DAYS, GAP_COMMITS = 14.0, 25
"""A plan's work has ended when nothing touches it for so long: a later commit to a file that it names is another's."""
AFTER_DAYS, AFTER_COMMITS = 30.0, 40
"""How long after the work fixes and rework still speak of the plan: later, code changes for reasons of its own."""
LEAST_COMMITS, LEAST_DAYS = 5, 7.0
"""History that must follow the work before silence means that nothing was wrong; either is enough."""
DONE = 0.7
"""Share of the named files that are touched in a plan that was done: people name files to read as well."""
DONE_IF_TICKED = 0.5
"""The same where every box was ticked in the history."""
ABANDONED = 0.5
"""A plan of which fewer of the named files were touched was not done; from here to DONE nothing is said."""
CLEAN = 0.2
"""Share of the written lines that later commits may change before a plan counts as reworked at all."""
REWRITTEN = 0.4
"""Share from which the work was rewritten: two lines of five did not last a month."""
MOST_TARGETS = 150
"""A plan that names more files is a list of files: touching some of them says nothing."""
LARGE_COMMIT = 100
"""A commit that changes more files does not do a plan that it touches in passing, unless it edits the plan."""
TICKED_BEFORE = 0.8
"""A plan whose boxes were ticked when it was committed, without any of its files, was written down after the work."""
SAME_TARGETS, SAME_TITLE = 0.6, 0.4
"""How alike the files and the words of the titles of two plans are (Jaccard) when the later replaces the earlier."""
