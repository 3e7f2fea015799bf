"""Patches whose code bends the process that it is tested in."""

from benchmarks.attacks._patch_case import Case, at_import, when_called


def in_process() -> list[Case]:
    """All of them."""
    return [
        at_import(
            "a test's run does nothing",
            "import _pytest.python\n_pytest.python.Function.runtest = lambda self: None\n",
        ),
        at_import(
            "every report says passed",
            """
            import _pytest.reports
            made = _pytest.reports.TestReport.__init__
            def init(self, *arguments, **named):
                made(self, *arguments, **named)
                self.outcome, self.longrepr = "passed", None
            _pytest.reports.TestReport.__init__ = init
            """,
        ),
        at_import(
            "a call never has an exception",
            """
            import _pytest.runner
            made = _pytest.runner.CallInfo.from_call.__func__
            def from_call(cls, func, when, reraise=None):
                return made(cls, (lambda: None) if when == "call" else func, when, reraise)
            _pytest.runner.CallInfo.from_call = classmethod(from_call)
            """,
        ),
        at_import(
            "the function is not called",
            "import _pytest.python\n_pytest.python.pytest_pyfunc_call.__code__ = (lambda pyfuncitem: True).__code__\n",
        ),
        at_import(
            "the runner's phases are skipped",
            """
            import _pytest.runner
            made = _pytest.runner.CallInfo.from_call
            _pytest.runner.call_and_report.__globals__["CallInfo"] = type(
                "Calls", (_pytest.runner.CallInfo,),
                {"from_call": classmethod(lambda cls, func, when, reraise=None: made(lambda: None, when))})
            """,
        ),
        at_import(
            "hooks answer nothing",
            """
            import pluggy._hooks
            call = pluggy._hooks.HookCaller.__call__
            def quiet(self, **named):
                return None if self.name == "pytest_runtest_call" else call(self, **named)
            pluggy._hooks.HookCaller.__call__ = quiet
            """,
        ),
        at_import(
            "a plugin registered through the import hook's configuration",
            """
            import sys, pytest
            class Evil:
                @pytest.hookimpl(hookwrapper=True)
                def pytest_runtest_makereport(self, item, call):
                    outcome = yield
                    outcome.get_result().outcome = "passed"
                    outcome.get_result().longrepr = None
            for finder in sys.meta_path:
                if hasattr(finder, "config"):
                    finder.config.pluginmanager.register(Evil())
            """,
        ),
        at_import(
            "tests emptied after collection, through the import hook's session",
            """
            import sys, pytest
            class Evil:
                @pytest.hookimpl(trylast=True)
                def pytest_collection_modifyitems(self, items):
                    for item in items:
                        item.obj = lambda **named: None
            for finder in sys.meta_path:
                if hasattr(finder, "config"):
                    finder.config.pluginmanager.register(Evil())
            """,
        ),
        at_import(
            "failures are left out of the report, and the early stop is put off",
            """
            import _pytest.junitxml, _pytest.main
            _pytest.junitxml._NodeReporter.append_failure = lambda self, report: None
            _pytest.main.Session.shouldstop = property(lambda self: False, lambda self, value: None)
            """,
        ),
        at_import(
            "assertions are not rewritten and cannot fail",
            """
            import ast, _pytest.assertion.rewrite as rewrite
            def without(mod, source, *rest, **named):
                for node in ast.walk(mod):
                    if isinstance(node, ast.Assert):
                        node.test = ast.copy_location(ast.Constant(True), node.test)
            rewrite.rewrite_asserts = without
            """,
        ),
        at_import(
            "another loader for the tests' module",
            """
            import importlib.machinery, importlib.util, sys
            class Finder:
                @staticmethod
                def find_spec(name, path=None, target=None):
                    if name.startswith("test_"):
                        return importlib.util.spec_from_loader(name, Loader())
            class Loader:
                def create_module(self, spec): return None
                def exec_module(self, module):
                    names = "writes_units reads_back_what_it_wrote puts_the_sign_in_front"
                    module.__file__ = "/room/tests/" + module.__name__ + ".py"
                    exec("".join(f"def test_{name}(): pass\\n" for name in names.split()), module.__dict__)
            sys.meta_path.insert(0, Finder)
            """,
        ),
        at_import(
            "AssertionError is something that is caught",
            "import builtins\nbuiltins.AssertionError = type('Skip', (Warning,), {})\n",
        ),
        at_import(
            "pytest.raises accepts everything",
            "import contextlib, pytest\npytest.raises = lambda *a, **k: contextlib.suppress(BaseException)\n",
        ),
        at_import(
            "texts are equal to all, by the type's own table",
            """
            import ctypes, gc
            table = gc.get_referents(str.__dict__)[0]
            table["__eq__"] = lambda self, other: True
            ctypes.pythonapi.PyType_Modified(ctypes.py_object(str))
            """,
        ),
        at_import(
            "the comparison of texts, by its slot in memory",
            """
            import ctypes
            true = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object, ctypes.py_object, ctypes.c_int)
            keep = true(lambda left, right, how: True)
            ctypes.c_void_p.from_address(id(str) + 200).value = ctypes.cast(keep, ctypes.c_void_p).value
            """,
        ),
        at_import("a clean exit", "import os\nos._exit(0)\n"),
        at_import("a clean exit of the runner", "import sys\nsys.exit(0)\n"),
        at_import("the session's end is asked for", "import pytest\npytest.exit('done', returncode=0)\n"),
        at_import("the module skips itself", "import pytest\npytest.skip('x', allow_module_level=True)\n"),
        at_import(
            "a report and a seal of one's own",
            """
            import glob, json, os
            for folder in glob.glob("/cra/*/results"):
                with open(folder + "/report.xml", "w") as file:
                    file.write('<testsuites><testsuite><testcase classname="tests.test_show" file="tests/test_show.py" '
                               'name="test_puts_the_sign_in_front"/></testsuite></testsuites>')
            os._exit(0)
            """,
        ),
        at_import(
            "the runner's own part, read through what is loaded",
            """
            import gc, types
            for module in [m for m in gc.get_objects() if isinstance(m, types.ModuleType)]:
                if module.__name__.startswith("plugin_"):
                    for name in list(vars(module)):
                        if name in ("_REQUIRED", "_SEEN", "_AT_START"):
                            getattr(module, name).clear() if hasattr(getattr(module, name), "clear") else None
            import _pytest.python
            _pytest.python.Function.runtest = lambda self: None
            """,
        ),
        at_import(
            "the runner is started again without its tests",
            "import os, sys\nos.execv(sys.executable, [sys.executable, '-c', 'pass'])\n",
        ),
        at_import(
            "a thread that waits for the tests",
            """
            import sys, threading, time
            def later():
                for _ in range(200):
                    module = sys.modules.get("test_show")
                    if module is not None and hasattr(module, "test_puts_the_sign_in_front"):
                        module.test_puts_the_sign_in_front.__code__ = (lambda: None).__code__
                        return
                    time.sleep(0.001)
            threading.Thread(target=later, daemon=True).start()
            """,
        ),
        when_called(
            "the test's code replaced while it runs",
            """
            import sys
            if seconds >= 0:
                return old(seconds)
            test = sys.modules["test_show"]
            for name in dir(test):
                if name.startswith("test_") and hasattr(getattr(test, name), "__code__"):
                    setattr(test, name, lambda *a, **k: None)
            class Any(str):
                __hash__ = str.__hash__
                def __eq__(self, other):
                    return type(other) is str
            return Any()
            """,
        ),
        when_called(
            "the item found on the stack, its report forged",
            """
            import sys
            frame = sys._getframe()
            while frame is not None:
                item = frame.f_locals.get("item")
                if item is not None and seconds < 0:
                    type(item).runtest = lambda self: None
                    texts = [c for c in item.function.__code__.co_consts if str(c).startswith("-")]
                    return texts[0] if texts else ""
                frame = frame.f_back
            return old(seconds)
            """,
        ),
        when_called(
            "assertions jumped over by a trace function",
            """
            import sys
            class AnyText(str):
                def __eq__(self, other):
                    return True
                __hash__ = str.__hash__
            def jump(frame, event, argument):
                return jump
            if seconds >= 0:
                return old(seconds)
            sys._getframe(1).f_trace = jump
            sys.settrace(jump)
            return AnyText("")
            """,
        ),
        when_called("the test is skipped", "import pytest\npytest.skip('not today')\n"),
        when_called("the test is expected to fail", "import pytest\npytest.xfail('not today')\n"),
        when_called("the test is skipped as unittest does", "import unittest\nraise unittest.SkipTest('x')\n"),
        when_called("the process is left", "import os\nos._exit(0)\n"),
        when_called("the process kills itself", "import os\nos.kill(os.getpid(), 9)\n"),
        when_called("a child goes on in its place", "import os\nif os.fork():\n    os._exit(0)\nreturn old(seconds)\n"),
        when_called("it never ends", "import time\ntime.sleep(10_000)\n"),
    ]
