"""A package imports only from lower levels, so that data flows one way along the road."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "convivo"

LEVELS = {
    "errors": 0,
    "config": 1,
    "files": 1,
    "geometry": 1,
    "processor": 1,
    "progress": 1,
    "schemas": 1,
    "shortage": 1,
    "arrays": 2,
    "layers": 2,
    "architectures": 3,
    "data": 3,
    "metrics": 4,
    "tasks": 5,
    "planning": 6,
    "inference": 7,
    "training": 7,
    "evaluation": 8,
    "explanation": 8,
    "exporting": 9,
    "reporting": 9,
    "verbs": 10,
    "console": 11,
    "lab": 11,
    "commands": 12,
    "cli": 13,
    "__main__": 14,
    "__init__": 14,
}
NEVER = {"architectures": {"data"}, "planning": {"data", "tasks"}}
"""Beyond the levels: these two work on modules and sizes, whatever the data."""
WITHOUT_TORCH = (
    "arrays",
    "metrics",
    "schemas",
    "errors",
    "config",
    "files",
    "geometry",
    "processor",
    "progress",
    "shortage",
)
TORCH_IN_DATA = ("augment", "batches")
"""The only parts of data/ that may know torch: what they make goes straight to the device."""

FILES = sorted(SOURCE.rglob("*.py"))


def package_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """Dotted names that a file imports, wherever in it; `from a import b` as a.b."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the level"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own(path: Path) -> set[str]:
    """The parts of convivo that a file imports."""
    names = (name.split(".") for name in imported(path) if name.startswith("convivo."))
    return {parts[1] for parts in names if parts[1] != "__version__"}


def case(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def test_every_package_has_a_level() -> None:
    assert {package_of(path) for path in FILES} <= set(LEVELS)


@pytest.mark.parametrize("path", FILES, ids=case)
def test_imports_come_from_lower_levels(path: Path) -> None:
    here = package_of(path)
    wrong = {n for n in own(path) if n != here and LEVELS.get(n, 99) >= LEVELS[here]}
    assert not wrong, f"{here} (level {LEVELS[here]}) must not import {sorted(wrong)}"


@pytest.mark.parametrize("path", FILES, ids=case)
def test_networks_and_planning_do_not_know_the_data(path: Path) -> None:
    assert not own(path) & NEVER.get(package_of(path), set())


@pytest.mark.parametrize("path", FILES, ids=case)
def test_torch_stays_out_of_what_works_without_it(path: Path) -> None:
    parts = [part.removesuffix(".py") for part in path.relative_to(SOURCE).parts]
    free = parts[0] in WITHOUT_TORCH or (parts[0] == "data" and parts[1] not in TORCH_IN_DATA)
    roots = {name.split(".")[0] for name in imported(path)}
    assert not (free and roots & {"torch", "torchvision", "safetensors"})


def test_no_drawer_for_everything() -> None:
    names = {part.removesuffix(".py") for path in FILES for part in path.relative_to(SOURCE).parts}
    assert not names & {"utils", "helpers", "common", "misc", "base", "core"}
