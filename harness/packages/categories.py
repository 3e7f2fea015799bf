"""What a test that does not pass lacks in the environment, from the exception with which its failure began.

A test that needs a network, a display or a program that is not there is not broken: it says nothing of the commit.
"""

import re

from packaging.version import InvalidVersion, Version

from models.causes import TestCategory
from models.suite import CaseResult, CaseStatus, Fault
from runtime.testing.output import exceptions_in, first_line

_STARTING = frozenset({"subprocess", "_posixsubprocess", "pty", "asyncio.base_events", "os", "pexpect.pty_spawn"})
"""Modules of which the innermost frame starts a program."""
_COMPARED = re.compile(r"assert (?:\w+\()?['\"]([^'\"]+)['\"]\)? == (?:\w+\()?['\"]([^'\"]+)['\"]")
_ABSENT = re.compile(
    r"\b(?:requires?|needs?) (?:(?!which\b|is\b|are\b|but\b)[\w.-]+ ){1,4}not (?:be )?installed|\bneeds? missing\b",
    re.IGNORECASE,
)
_RULES = tuple(
    (category, re.compile(expression, re.IGNORECASE))
    for category, expression in (
        (TestCategory.FLAKY, r"\bDeadlineExceeded\b"),
        (TestCategory.MISSING_PROGRAM, r"'-m', 'ensurepip'|No module named '?(ensurepip|pip)\b"),
        (TestCategory.MISSING_FIXTURE, r"FixtureLookupError|fixture '[^']*' not found"),
        (
            TestCategory.VERSION_MISMATCH,
            r"PackageNotFoundError|DistributionNotFound|VersionConflict|No package metadata was found",
        ),
        (
            TestCategory.MISSING_MODULE,
            r"ModuleNotFoundError|No module named|could not import|"
            r"(module|package|library) (is )?not (installed|found)|"
            r"(^|: )(?!program|executable|binary|command)[\w.-]+ (is |are )?not installed\b",
        ),
        (
            TestCategory.MISSING_DISPLAY,
            r"no display name|\$DISPLAY|(connect to|open) (the )?(X |wayland )?display|Qt platform plugin|"
            r"(needs|requires|without) an? (X )?(display|screen|GUI)",
        ),
        (
            TestCategory.MISSING_NETWORK,
            r"gaierror|getaddrinfo failed|Name or service not known|name resolution|NameResolutionError|"
            r"Network is unreachable|No route to host|Could not resolve host|nodename nor servname|"
            r"Max retries exceeded(?!.*(localhost|127\.0\.0\.1|Errno 111))|"
            r"(needs|requires|without|no) (a |an )?(network|internet)|network access",
        ),
        (
            TestCategory.MISSING_LOCALE,
            r"locale\.Error|unsupported locale|unknown locale|locale .* not (available|installed)",
        ),
        (TestCategory.MISSING_TIME_ZONE, r"ZoneInfoNotFoundError|No time zone found|UnknownTimeZoneError"),
        (
            TestCategory.MISSING_TERMINAL,
            r"Inappropriate ioctl|not a (tty|terminal)\b|/dev/tty|could not find terminal|setupterm",
        ),
        (
            TestCategory.NEEDS_ROOT,
            r"(must be|requires?|needs?|run as|only as|not) (the )?(root|superuser)\b|root privileges|\[Errno 1\]",
        ),
        (
            TestCategory.NEEDS_RESOURCES,
            r"MemoryError|Cannot allocate memory|\[Errno (11|12|24|27|28)\]|can't start new thread|No space left",
        ),
        (TestCategory.READ_ONLY, r"\[Errno 30\]|Read-only file system|PermissionError: \[Errno 13\].*'/(?!room|tmp)"),
        (
            TestCategory.MISSING_PROGRAM,
            r"exit (status|code) 127|command not found|: not found$|executable .*not found|"
            r"^(\S+ )?(executable|program|binary|command) (is )?(not (found|available|installed)|missing)",
        ),
        (TestCategory.MISSING_FILE, r"(FileNotFoundError|\[Errno 2\]|No such file or directory)(?!.*'/tmp/)"),
    )
)


def category_of(case: CaseResult) -> TestCategory:
    """The category of a test that failed, was skipped or is expected to fail."""
    if case.status is CaseStatus.XFAILED:
        return TestCategory.EXPECTED
    found = lacking(fault_of(case), case.id)
    if case.status is CaseStatus.SKIPPED:
        return TestCategory.SKIPPED if found is None or wants_absence(fault_of(case).text) else found
    return found if found is not None else TestCategory.BROKEN


def fault_of(case: CaseResult) -> Fault:
    """The exception with which a failure began: as the runner reports it, else as its message shows it."""
    if case.fault is not None:
        return case.fault
    if not case.message.strip():
        return Fault(error="")
    shown = exceptions_in(f"E {first_line(case.message)}")
    return shown[0] if shown else Fault(error="", text=first_line(case.message))


def lacking(fault: Fault, test: str = "") -> TestCategory | None:
    """What an exception shows to be lacking in the environment; None if it shows nothing of the kind."""
    if fault.error == "FileNotFoundError" and fault.module in _STARTING:
        return TestCategory.MISSING_PROGRAM
    if _versions_differ(fault.text, test):
        return TestCategory.VERSION_MISMATCH
    for text in (f"{fault.error}: {fault.text}", fault.then):
        for category, pattern in _RULES:
            if pattern.search(text):
                return category
    return None


def wants_absence(why: str) -> bool:
    """Whether a test skips because something is there: "Requires cryptography library not installed"."""
    return _ABSENT.search(why) is not None


def _versions_differ(text: str, test: str) -> bool:
    """Whether a test of the version found another than it expected, as the environment's metadata may be another."""
    compared = _COMPARED.search(text)
    if compared is None or not re.search(r"version|metadata|release", test, re.IGNORECASE):
        return False
    try:
        one, other = map(Version, compared.groups())
    except InvalidVersion:
        return False
    return one != other


PHRASES = {
    TestCategory.FLAKY: "depends on the time that it takes",
    TestCategory.MISSING_MODULE: "lacks a module",
    TestCategory.MISSING_PROGRAM: "lacks a program",
    TestCategory.MISSING_FILE: "lacks a file",
    TestCategory.MISSING_FIXTURE: "lacks a fixture",
    TestCategory.MISSING_LOCALE: "lacks a locale",
    TestCategory.MISSING_TIME_ZONE: "lacks a time zone",
    TestCategory.MISSING_NETWORK: "needs the network",
    TestCategory.MISSING_DISPLAY: "needs a display",
    TestCategory.MISSING_TERMINAL: "needs a terminal",
    TestCategory.NEEDS_ROOT: "needs the rights of root",
    TestCategory.NEEDS_RESOURCES: "needs more memory, processes or disk",
    TestCategory.READ_ONLY: "writes outside of the work tree",
    TestCategory.VERSION_MISMATCH: "finds another version of the distribution",
}
"""What each category says of a test that may pass elsewhere."""

REMEDIES = {
    TestCategory.MISSING_MODULE: "name its distribution among the repository's test requirements",
    TestCategory.MISSING_PROGRAM: "install the program on this machine",
    TestCategory.MISSING_FILE: "a build or a download would make the file: it is in no commit",
    TestCategory.MISSING_FIXTURE: "name the plugin that defines it among the repository's test requirements",
    TestCategory.MISSING_LOCALE: "install the locale on this machine",
    TestCategory.MISSING_TIME_ZONE: "install the time zones (tzdata) on this machine",
    TestCategory.NEEDS_RESOURCES: "raise limits.memory_bytes, limits.processes or limits.disk_bytes",
    TestCategory.VERSION_MISMATCH: "tag the commit's version in the repository",
}
"""What would mend what a category says; tests have no network, display, terminal or root here on purpose."""
