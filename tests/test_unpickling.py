"""Nothing is unpickled: a pickle runs whatever its writer wants when it is read."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
FOLDERS = ("study", "listener", "converter", "engine", "dicomseg", "glioloop", "orthanc")
MODULES = sorted(path for folder in FOLDERS for path in (CHECKOUT / folder).rglob("*.py"))

PICKLERS = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
"""Libraries that write and read nothing but pickles, or what is no safer."""


def unpickling(tree: ast.Module) -> list[str]:
    """What a module imports or calls that can read a pickle."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.partition(".")[0] in PICKLERS]
        elif isinstance(node, ast.ImportFrom):
            found += [node.module] if (node.module or "").partition(".")[0] in PICKLERS else []
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            given = {k.arg: ast.unparse(k.value) for k in node.keywords}
            # PyTorch's own format holds pickles; weights are safetensors here.
            if called == "torch.load" or called.rpartition(".")[2] == "read_pickle":
                found.append(called)
            if given.get("allow_pickle", "False") != "False":
                found.append(f"{called}(allow_pickle=...)")
            if called in ("yaml.load", "yaml.unsafe_load", "yaml.full_load"):
                found.append(called)
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(CHECKOUT).as_posix())
def test_a_module_reads_no_pickle(path: Path) -> None:
    assert unpickling(ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "import torch\ntorch.load(path)",
        "import torch\ntorch.load(path, weights_only=True)",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "import numpy as np\nnp.load(path, allow_pickle=wanted)",
        "import pandas as pd\npd.read_pickle(path)",
        "import yaml\nyaml.load(text, Loader=yaml.Loader)",
    ],
)
def test_reading_a_pickle_is_found(source: str) -> None:
    assert len(unpickling(ast.parse(source))) == 1


def test_reading_arrays_without_pickles_is_none() -> None:
    assert unpickling(ast.parse("import numpy as np\nnp.load(path, allow_pickle=False)")) == []
