"""The house rules of ARCHITECTURE.md, checked on the code as it is."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]

MAY_IMPORT = {
    "study": {"study"},
    "listener": {"listener", "study"},
    "converter": {"converter", "study"},
    "engine": {"engine", "study"},
    "dicomseg": {"dicomseg", "study"},
    "glioloop": {"glioloop", "listener", "converter", "engine", "dicomseg", "study"},
}
"""Which of our rooms a room may import."""

DOORS = {
    "pynetdicom": ("listener/",),
    "torch": ("engine/",),
    "torchio": ("engine/augment.py",),
    "openvino": ("engine/",),
    "monai": ("engine/yardsticks.py",),
    "onnx": ("engine/yardsticks.py",),
    "onnxruntime": ("engine/yardsticks.py",),
    "highdicom": ("dicomseg/",),
    "SimpleITK": ("converter/",),
    "dicom2nifti": ("converter/",),
    "dbos": ("glioloop/jobs.py", "glioloop/board.py", "glioloop/peers.py"),
    "pydicom": ("listener/", "converter/", "dicomseg/", "glioloop/"),
    "pydantic_settings": ("glioloop/settings.py",),
}
"""Where a library may be imported; any other library has no door of its own."""

ENVIRONMENT_DOOR = "glioloop/settings.py"
BROAD_EXCEPT_BORDERS = {"listener/handlers.py", "glioloop/failures.py"}
SHAPELESS = {"utils", "util", "helpers", "helper", "common", "base", "misc", "tools"}
MODULE_MAX, MODULE_MEDIAN_MAX, FUNCTION_MAX = 400, 150, 60

ROOMS = sorted(MAY_IMPORT)
MODULES = sorted(path for room in ROOMS for path in (CHECKOUT / room).rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(CHECKOUT).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> Iterator[str]:
    """Top-level names of every import in a module, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").partition(".")[0]


def uses_environment(tree: ast.Module) -> bool:
    """Whether a module reads the environment: os.environ, os.getenv, or names taken from os."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv"}:
            return True
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            return any(alias.name in {"environ", "environb", "getenv"} for alias in node.names)
    return False


def broad_handlers(tree: ast.Module) -> list[int]:
    """Lines of handlers that catch everything."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            names = {kind.id for kind in kinds if isinstance(kind, ast.Name)}
            if node.type is None or names & {"Exception", "BaseException"}:
                found.append(node.lineno)
    return found


def function_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node, clean=False) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def long_functions(tree: ast.Module) -> list[str]:
    return [
        f"{node.name} ({function_lines(node)} lines)"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and function_lines(node) > FUNCTION_MAX
    ]


def wrong_imports(name: str, tree: ast.Module) -> list[str]:
    """Imports that break the rules of rooms or doors in a module of that name."""
    room = name.partition("/")[0]
    found = []
    for target in sorted(set(imported(tree))):
        if target in MAY_IMPORT and target not in MAY_IMPORT[room]:
            found.append(f"{name} imports the room {target}")
        if target in {"tests", "orthanc"}:
            found.append(f"{name} imports {target}")
        if target in DOORS and not name.startswith(DOORS[target]):
            found.append(f"{name} imports {target}, whose door is {DOORS[target]}")
    if room == "study":
        allowed = {"study", "numpy", "__future__"} | STANDARD_LIBRARY_OF_STUDY
        found += [f"{name} imports {t}" for t in set(imported(tree)) - allowed]
    return found


STANDARD_LIBRARY_OF_STUDY = {
    "collections", "dataclasses", "enum", "hashlib", "hmac", "typing", "unicodedata",
}  # fmt: skip


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_what_its_room_may(path: Path) -> None:
    assert wrong_imports(name_of(path), tree_of(path)) == []


def test_the_environment_is_read_in_one_place() -> None:
    readers = {name_of(path) for path in MODULES if uses_environment(tree_of(path))}
    assert readers <= {ENVIRONMENT_DOOR}


def test_everything_is_caught_only_at_the_two_borders() -> None:
    catchers = {name_of(path) for path in MODULES if broad_handlers(tree_of(path))}
    assert catchers <= BROAD_EXCEPT_BORDERS


def test_nothing_is_printed() -> None:
    printing = [
        f"{name_of(path)}:{node.lineno}"
        for path in MODULES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert printing == []


def test_modules_are_named_after_what_they_hold() -> None:
    tracked = [Path(name) for name in tracked_files() if name.endswith(".py")]
    shapeless = [str(path) for path in tracked if {path.stem, *path.parts} & SHAPELESS]
    assert shapeless == []


def test_modules_are_short() -> None:
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in MODULES}
    assert {name: n for name, n in lengths.items() if n > MODULE_MAX} == {}
    written = [n for name, n in lengths.items() if not name.endswith("__init__.py")]
    assert statistics.median(written) <= MODULE_MEDIAN_MAX


def test_functions_fit_a_screen() -> None:
    long = [f"{name_of(path)}: {f}" for path in MODULES for f in long_functions(tree_of(path))]
    assert long == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [name_of(path) for path in MODULES if not ast.get_docstring(tree_of(path))]
    assert silent == []


def test_the_orthanc_plugin_needs_the_standard_library_alone() -> None:
    plugin = sorted((CHECKOUT / "orthanc").glob("*.py"))
    allowed = sys.stdlib_module_names | {"orthanc"} | {path.stem for path in plugin}
    assert {name for path in plugin for name in imported(tree_of(path))} <= allowed


def tracked_files() -> list[str]:
    """Files of the checkout that git knows; skipped where there is no git checkout."""
    if not (CHECKOUT / ".git").exists():
        pytest.skip("needs a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    return [n for n in listed.stdout.split("\0") if n and (CHECKOUT / n).is_file()]


# Home folders and work folders of one machine, and hosts that packages come from.
MACHINE = re.compile(
    rb"(?<![\w.])/(?:work|farm|root|home/\w+)/" + rb"|\b(?:pypi|npmjs|debian)\.org\b"
)


def test_no_file_names_a_machine_or_a_package_host() -> None:
    naming = [n for n in tracked_files() if MACHINE.search((CHECKOUT / n).read_bytes())]
    assert naming == []


def test_no_file_is_too_large_for_a_repository() -> None:
    large = [n for n in tracked_files() if (CHECKOUT / n).stat().st_size > 25 * 2**20]
    assert large == []


# The rules above hold for the code as it is; these show that each can fail.


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("engine/patches.py", "import converter.grid"),
        ("converter/grid.py", "from dicomseg.write import write_seg"),
        ("study/volume.py", "from glioloop import settings"),
        ("study/volume.py", "import pydicom"),
        ("glioloop/pipeline.py", "def f():\n    import torch.nn"),
        ("glioloop/delivery.py", "from pynetdicom import AE"),
        ("engine/inference.py", "import pydicom"),
        ("glioloop/ledger.py", "import dbos"),
    ],
)
def test_a_wrong_import_is_found(name: str, source: str) -> None:
    assert len(wrong_imports(name, ast.parse(source))) >= 1


@pytest.mark.parametrize(
    "source", ["import os\nos.environ['A']", "from os import getenv", "import os\nos.getenv('A')"]
)
def test_reading_the_environment_is_found(source: str) -> None:
    assert uses_environment(ast.parse(source))


@pytest.mark.parametrize(
    "handler", ["except:", "except Exception:", "except (OSError, BaseException):"]
)
def test_a_broad_handler_is_found(handler: str) -> None:
    assert broad_handlers(ast.parse(f"try:\n    f()\n{handler}\n    pass")) == [3]


def test_a_narrow_handler_is_no_broad_one() -> None:
    assert broad_handlers(ast.parse("try:\n    f()\nexcept (OSError, ValueError):\n    pass")) == []


def test_a_long_function_is_found() -> None:
    body = "\n".join("    x = 1" for _ in range(60))
    assert long_functions(ast.parse(f"def f():\n{body}")) == ["f (61 lines)"]
    assert long_functions(ast.parse(f"def f():\n    'doc'\n{body[10:]}")) == []


@pytest.mark.parametrize(
    "text", [b"see /" + b"root/x", b"/" + b"work/main/a", b"https://pypi" + b".org/a"]
)
def test_a_machine_path_is_found(text: bytes) -> None:
    assert MACHINE.search(text)


def test_every_requirement_is_held_to_the_hash_of_its_file() -> None:
    text = (CHECKOUT / "requirements.txt").read_text(encoding="utf-8")
    pins = re.findall(r"^[^#\s].*", text, re.MULTILINE)
    bare = [line for line in pins if not re.fullmatch(r"\S+==\S+ \\", line)]
    assert bare == [], "add the version, then run: .venv/bin/python scripts/pin"
    hashes = re.findall(r"^ +--hash=sha256:[0-9a-f]{64}$", text, re.MULTILINE)
    assert len(pins) == len(hashes) > 50
