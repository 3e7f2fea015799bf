"""Confirming a pass: tests that must fail, what the watcher saw, and twins of the tests that were passed.

FAIL_TO_PASS and PASS_TO_PASS run in one process with the code that they judge, which can bend them, by intent or by
accident. So a pass is provisional. Sentinels (`sentinels`) are tests beside the hidden ones that must fail. Twins
(`twins`) are the hidden tests with one input varied; what they see on the gold patch is recorded outside, and a
candidate must show the same without ever having had the answers in its process.
"""
