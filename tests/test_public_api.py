"""The names that other programs may rely on."""

import ast
import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import convivo

ROOT = Path(__file__).parents[1]
VERBS = [
    "compare",
    "create",
    "evaluate",
    "export",
    "generate",
    "inspect",
    "load",
    "networks",
    "plan",
]
VERBS += ["predict", "train", "verify"]
ERRORS = [
    "ConfigError",
    "ConvivoError",
    "DataError",
    "Interrupted",
    "PlanError",
    "ReadError",
    "ShapeError",
    "UsageError",
]
HEAVY = ("torch", "numpy", "scipy", "pydantic", "nibabel", "PIL", "skimage", "zarr", "wfdb", "rich")


def run_python(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_public_names_are_pinned() -> None:
    assert sorted(convivo.__all__) == sorted([*VERBS, *ERRORS, "layers", "__version__"])
    assert dir(convivo) == sorted(convivo.__all__)


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(convivo.__file__ or "").read_text(encoding="utf-8"))
    guarded = [n for n in tree.body if isinstance(n, ast.If)]
    names = {a.name for n in guarded[0].body if isinstance(n, ast.ImportFrom) for a in n.names}
    assert names == {*VERBS, "layers"}


@pytest.mark.parametrize("name", VERBS)
def test_verbs_are_functions_also_after_their_module_was_imported(name: str) -> None:
    function = getattr(convivo, name)
    importlib.import_module(function.__module__)
    assert callable(getattr(convivo, name))
    assert getattr(convivo, name).__name__ == name


def test_importing_a_module_first_does_not_hide_the_function() -> None:
    code = (
        "import convivo, convivo.verbs.inspect, convivo.verbs.plan, convivo.verbs.train\n"
        "print(callable(convivo.inspect), callable(convivo.plan), callable(convivo.train))"
    )
    assert run_python(code) == "True True True"


def test_no_module_bears_a_functions_name() -> None:
    there = {path.name.removesuffix(".py") for path in (ROOT / "src" / "convivo").iterdir()}
    assert not there & set(VERBS)


def test_layers_are_reached_by_attribute_and_by_import() -> None:
    from convivo import layers

    assert convivo.layers is layers


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="module 'convivo' has no attribute 'trian'"):
        convivo.trian  # noqa: B018


def test_importing_convivo_loads_nothing_heavy() -> None:
    code = f"import sys, convivo; print([m for m in {HEAVY} if m in sys.modules])"
    assert run_python(code) == "[]"


def test_version_is_the_packages() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert convivo.__version__ == project["version"]
