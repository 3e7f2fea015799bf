"""Confirming a pass: must-fail tests, the watcher's report, and twins of the tests that passed.

FAIL_TO_PASS and PASS_TO_PASS run in one process with the code that they judge, which can falsify them, by intent or by
accident. So a pass is provisional. Sentinels (`sentinels`) are added tests that must fail. Twins (`twins`) are the
hidden tests with one input varied; their observations on the gold patch are recorded outside, and a candidate must
reproduce them without ever having had the answers in its process.
"""
