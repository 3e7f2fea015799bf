"""Why a run of pytest ended without results, from what it printed: the layer, and the first error."""

import re

from models.causes import Layer
from models.suite import Fault, SuiteEnd, SuiteReport
from runtime.testing.output import exceptions_in, first_fault, last_line

_IMPORTS = ("ImportError", "ModuleNotFoundError")
_CONFTEST = re.compile(r"^(?:E\s+)?(?:_pytest\.config\.)?(?:ImportError while loading conftest|ConftestImportFailure)")
_USAGE = re.compile(r"^(?:ERROR: |.*?: error: |pytest: error: |error: )(?P<text>\S.*)$")
_NO_MODULE = re.compile(r"^\S*python\S*: (?P<text>No module named .*)$")
_PLUGIN = re.compile(r"^(?:E\s+)?ImportError: Error importing plugin")
_INTERNAL = "INTERNALERROR> "
_FATAL = re.compile(r"^Fatal Python error: (?P<text>.*)$")
_KILLED = re.compile(r"^\[killed: (?P<text>[\w-]+)\]$")


def run_fault(report: SuiteReport) -> tuple[Layer, Fault]:
    """Where and by what a run was ended that says nothing of its tests."""
    lines = report.output.splitlines()
    if internal := [line.removeprefix(_INTERNAL).removeprefix("INTERNALERROR>") for line in lines if _internal(line)]:
        fault = first_fault("\n".join(internal)) or Fault(error="internal error", text=last_line("\n".join(internal)))
        return (Layer.TEST if report.cases else Layer.CONFIGURATION), fault
    if killed := [match["text"] for line in lines if (match := _KILLED.match(line))]:
        return Layer.TEST, Fault(error=killed[-1], text="the process was killed")
    if fatal := next((match["text"] for line in lines if (match := _FATAL.match(line))), None):
        return Layer.TEST, Fault(error="Fatal Python error", text=fatal[:300])
    if report.end is SuiteEnd.OUTPUT_LIMIT:
        return Layer.TEST, Fault(error=SuiteEnd.OUTPUT_LIMIT.value, text="printed more than the limit")
    if not report.cases and (found := _before_tests(lines, report)):
        return found
    return Layer.TEST, _bare_end(report)


def _internal(line: str) -> bool:
    return line.startswith("INTERNALERROR>")


def _before_tests(lines: list[str], report: SuiteReport) -> tuple[Layer, Fault] | None:
    """What kept pytest from starting: a conftest or plugin that does not import, an option, a setting."""
    if (raised_first := report.faults.get("")) and raised_first.error.rpartition(".")[2] != "UsageError":
        return (Layer.IMPORT if raised_first.error in _IMPORTS else Layer.COLLECTION), raised_first
    begun = next((number for number, line in enumerate(lines) if _CONFTEST.match(line) or _PLUGIN.match(line)), None)
    if begun is not None and (fault := first_fault("\n".join(lines[begun:]))):
        return (Layer.IMPORT if fault.error in _IMPORTS else Layer.COLLECTION), fault
    if missing := next((match["text"] for line in lines if (match := _NO_MODULE.match(line))), None):
        return Layer.IMPORT, Fault(error="ModuleNotFoundError", text=missing[:300])
    raised = exceptions_in(report.output)
    said = (match["text"] for line in lines if (match := _USAGE.match(line)))
    usage = next((text for text in said if not text.startswith("usage:")), None)
    if usage is not None:
        began = raised[0] if raised and usage.endswith(":") else None
        text = f"{usage} {last_line(report.output)}" if usage.endswith(":") else usage
        return Layer.CONFIGURATION, began or Fault(error="UsageError", text=text[:300])
    if raised and (fault := first_fault(report.output)):
        return (Layer.IMPORT if fault.error in _IMPORTS else Layer.CONFIGURATION), fault
    return None


def _bare_end(report: SuiteReport) -> Fault:
    code = report.exit_code
    if code is not None and (code < 0 or code > 128):
        signal = -code if code < 0 else code - 128
        return Fault(error=f"signal {signal}", text="the interpreter that ran the tests died")
    what = f"the process ended with exit code {code} and without a report"
    return Fault(error=report.end.value, text=what if code is not None else "the process ended without a report")
