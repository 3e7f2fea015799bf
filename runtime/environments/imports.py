"""Distributions that a repository's files import, matched by name with its own requirements."""

import ast
import itertools
import re
import sys
from collections.abc import Iterable

from packaging.utils import canonicalize_name

from repos.syntax import parse_python

# Import names that differ from the distribution's, beyond `python-x`, `x-python` and `py-x`.
_DISTRIBUTIONS = {
    "attr": ("attrs",), "bs4": ("beautifulsoup4",), "cv2": ("opencv-python", "opencv-python-headless"),
    "crypto": ("pycryptodome",), "cryptodome": ("pycryptodomex",), "dateutil": ("python-dateutil",), "dotenv":
    ("python-dotenv",), "fitz": ("pymupdf",), "git": ("gitpython",), "jose": ("python-jose",), "jwt":
    ("pyjwt",), "magic": ("python-magic",), "mysqldb": ("mysqlclient",), "openssl": ("pyopenssl",), "pil":
    ("pillow",), "pkg-resources": ("setuptools",), "psycopg2": ("psycopg2-binary",), "pythoncom":
    ("pywin32",), "serial": ("pyserial",), "skimage": ("scikit-image",), "sklearn": ("scikit-learn",),
    "slugify": ("python-slugify",), "socks": ("pysocks",), "usb": ("pyusb",), "yaml": ("pyyaml",
    "ruamel-yaml"), "zmq": ("pyzmq",), "google-protobuf": ("protobuf",), "grpc": ("grpcio",), "levenshtein":
    ("python-levenshtein", "levenshtein"), "msgpack": ("msgpack",), "markdown-it": ("markdown-it-py",),
    "win32api": ("pywin32",), "pylsp": ("python-lsp-server",),
}  # fmt: skip


def imported_modules(sources: Iterable[str]) -> set[str]:
    """Dotted names that the sources import at any depth, `importorskip`, `find_spec` and `pytest_plugins` strings
    included, and those that they run as programs (`[sys.executable, "-m", "build"]`).

    Relative imports and the standard library are left out; a source that does not parse is skipped.
    """
    found: set[str] = set()
    for source in sources:
        try:
            module = parse_python(source)
        except (SyntaxError, ValueError, RecursionError):
            continue
        for node in ast.walk(module):
            found.update(_names(node))
    return {name for name in found if name.split(".")[0] not in sys.stdlib_module_names}


def imported_by_documents(texts: Iterable[str]) -> set[str]:
    """Dotted names that examples in documentation import, at the start of a line or after a `>>>` prompt."""
    pattern = re.compile(r"^\s*(?:>>> |\.\.\. )?(?:import|from) ([\w.]+)", re.MULTILINE)
    found = {name for text in texts for name in pattern.findall(text)}
    return {name for name in found if name.split(".")[0] not in sys.stdlib_module_names}


def _names(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=aliases):
            return [alias.name for alias in aliases]
        case ast.ImportFrom(module=str(module), level=0, names=aliases):
            return [module, *(f"{module}.{alias.name}" for alias in aliases)]
        case ast.Call(
            func=ast.Attribute(attr="importorskip" | "import_module" | "find_spec"),
            args=[ast.Constant(value=str(name)), *_],
        ):
            return [name]
        case ast.Assign(targets=[ast.Name(id="pytest_plugins")], value=ast.List() | ast.Tuple() | ast.Constant()):
            return [n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
        case ast.List(elts=words) | ast.Tuple(elts=words) | ast.Call(args=words):
            return _run_as_programs(words)
        case _:
            return []


def _run_as_programs(words: list[ast.expr]) -> list[str]:
    """The names after a `-m` among the words of a command."""
    texts = [word.value if isinstance(word, ast.Constant) else None for word in words]
    following = (name for option, name in itertools.pairwise(texts) if option == "-m")
    return [name for name in following if isinstance(name, str) and re.fullmatch(r"[A-Za-z_][\w.]*", name)]


def distributions(modules: Iterable[str], known: Iterable[str]) -> set[str]:
    """The `known` distributions (normalised names) that provide one of the modules, matched by name."""
    known = set(known)
    wanted: set[str] = set()
    for module in modules:
        parts = module.split(".")
        for length in range(1, len(parts) + 1):
            name = canonicalize_name("-".join(parts[:length]))
            wanted.update((name, *_DISTRIBUTIONS.get(name, ())))
            if length == 1:
                wanted.update((f"python-{name}", f"{name}-python", f"py-{name}", f"py{name}"))
    return wanted & known
