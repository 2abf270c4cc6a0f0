"""The runner and all that it imports, copied out of the package under another name."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from convivo import __version__
from convivo.errors import PlanError

PACKAGE = Path(__file__).parents[1]
NAME = "convivo_runner"  # of the copy
ROOT = "convivo.exporting.runner.main"
READERS = "convivo.data.readers"  # they are imported by name, when a file asks for one
NEVER = ("torch", "convivo.tasks", "convivo.architectures", "convivo.layers", "convivo.planning")
SCRIPT = f'''"""Apply this model to new files: python run.py INPUT... --out DIR"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from {NAME}.exporting.runner.main import main  # noqa: E402

if __name__ == "__main__":
    raise SystemExit(main(HERE, sys.argv[1:]))
'''
FIRST = f'''"""What run.py needs of convivo."""

__version__ = "{__version__}"
'''


def copy_runner(folder: Path) -> list[Path]:
    """Write `run.py` and its package into a folder.

    Returns:
        The files written.
    """
    written = [folder / "run.py"]
    written[0].write_text(SCRIPT, encoding="utf-8")
    for module, path in sorted(needed().items()):
        target = folder / NAME / path.relative_to(PACKAGE)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(renamed(path.read_text(encoding="utf-8"), module), encoding="utf-8")
        written.append(target)
    for place in {parent for path in written[1:] for parent in _packages(path, folder)}:
        if not (place / "__init__.py").exists():
            text = FIRST if place.name == NAME else ""
            (place / "__init__.py").write_text(text, encoding="utf-8")
            written.append(place / "__init__.py")
    return written


def needed() -> dict[str, Path]:
    """Dotted name -> file of every module that the runner may import, readers included.

    Raises:
        PlanError: one of them needs torch, or a part of convivo that does.
    """
    found: dict[str, Path] = {}
    waiting = [ROOT, *_modules_below(READERS)]
    while waiting:
        name = waiting.pop()
        path = _file_of(name)
        if path is None or name in found:
            continue
        found[name] = path
        for imported in imports(path):
            if imported.startswith(NEVER):
                rule = "the runner works without torch"
                raise PlanError(name, rule, f"an import of {imported}", "Report this")
            waiting += _with_parents(imported)
    return found


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Dotted names that a file imports, wherever in it."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(found)


def renamed(text: str, module: str) -> str:
    """A module's source with its imports of convivo turned to the copy.

    Example:
        >>> renamed("from convivo.errors import ReadError", "m")
        'from convivo_runner.errors import ReadError'
    """
    ours = r"^(\s*(?:from|import) )convivo(?=\.| import )"
    return re.sub(ours, rf"\g<1>{NAME}", text, flags=re.MULTILINE)


def _with_parents(name: str) -> list[str]:
    parts = name.split(".")
    if parts[0] != "convivo":
        return []
    return [".".join(parts[:n]) for n in range(2, len(parts) + 1)]


def _file_of(name: str) -> Path | None:
    place = PACKAGE.joinpath(*name.split(".")[1:])
    for path in (place.with_suffix(".py"), place / "__init__.py"):
        if path.is_file() and name != "convivo":
            return path
    return None


def _modules_below(package: str) -> Iterator[str]:
    root = PACKAGE.joinpath(*package.split(".")[1:])
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(("convivo", *(part for part in parts if part != "__init__")))


def _packages(path: Path, folder: Path) -> Iterator[Path]:
    place = path.parent
    while place != folder:
        yield place
        place = place.parent
