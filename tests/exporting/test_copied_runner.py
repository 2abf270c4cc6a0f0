"""What is copied into an exported folder: all that is needed, and nothing of torch."""

import ast
from pathlib import Path

import pytest

from convivo.exporting import copying
from convivo.exporting.copying import NAME, PACKAGE, copy_runner, imports, needed, renamed

HEAVY = {"torch", "safetensors", "pydantic", "typer", "rich", "jinja2"}


def test_no_module_of_the_runner_needs_torch() -> None:
    modules = needed()
    roots = {name.split(".")[0] for path in modules.values() for name in imports(path)}
    assert not roots & HEAVY
    parts = {name.split(".")[1] for name in modules}
    expected = {"arrays", "data", "errors", "exporting", "files", "geometry", "inference"}
    assert parts == expected | {"shortage"}


def test_the_copy_names_convivo_nowhere_in_its_imports(tmp_path: Path) -> None:
    written = copy_runner(tmp_path)
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == set(written)
    for path in written:
        names = set(imports(path))
        assert not {name for name in names if name.split(".")[0] == "convivo"}, path
        inner = {name for name in names if name.startswith(f"{NAME}.")}
        for name in inner:
            place = tmp_path.joinpath(*name.split("."))
            parent = place.parent
            there = [place.with_suffix(".py"), place / "__init__.py", parent.with_suffix(".py")]
            assert any(p.is_file() for p in [*there, parent / "__init__.py"]), f"{path}: {name}"


def test_only_imports_are_renamed() -> None:
    text = "    from convivo.files import a\nimport convivo.errors\nx = 'pip install convivo.a'\n"
    expected = text.replace("from convivo.", f"from {NAME}.").replace(
        "import convivo.", f"import {NAME}."
    )
    assert renamed(text, "m") == expected
    assert ast.parse(renamed("from convivo.errors import E", "m"))


def test_a_runner_that_would_need_torch_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "ROOT", "convivo.inference.predictor")
    with pytest.raises(Exception, match=r"the runner works without torch; got an import of"):
        needed()


def test_every_reader_is_copied(tmp_path: Path) -> None:
    copy_runner(tmp_path)
    mine = (PACKAGE / "data" / "readers").rglob("*.py")
    names = {path.relative_to(PACKAGE).as_posix() for path in mine}
    copied = {p.relative_to(tmp_path / NAME).as_posix() for p in (tmp_path / NAME).rglob("*.py")}
    assert names <= copied
