"""What the reference says is what the program knows."""

import doctest
import re
import runpy
import shlex
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import typer

from convivo import schemas
from convivo.cli import app, main
from convivo.data.augment import Augmentation
from convivo.data.labels import DISEASE, HEALTH
from convivo.data.layouts import LAYOUTS
from convivo.data.problems import CODES

ROOT = Path(__file__).parents[1]
COMMANDS_PAGE = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
DATA_PAGE = (ROOT / "docs" / "reference" / "data.md").read_text(encoding="utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
CLAIMS = {
    path.stem: path
    for path in sorted((ROOT / "docs" / "claims").glob("*.py"))
    if path.stem not in ("figure", "fitting")
}
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
MEMORY_PAGE = (ROOT / "docs" / "reference" / "memory.md").read_text(encoding="utf-8")
SESSIONS = re.findall(r"^```\n\$ convivo (.+)\n((?:.*\n)*?)```$", MEMORY_PAGE, re.M)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_in_the_reference(name: str) -> None:
    section = re.search(rf"^## `convivo {name}\b.*?(?=^## |\Z)", COMMANDS_PAGE, re.M | re.S)
    assert section, f"no section for {name}"
    shared = re.search(r"^## How data is read.*?(?=^## )", COMMANDS_PAGE, re.M | re.S)
    text = section[0] + (shared[0] if shared else "")
    options = [o for p in COMMANDS[name].params for o in p.opts if o.startswith("--")]
    assert [o for o in options if f"`{o}" not in text] == []


def test_every_layout_and_document_is_in_the_reference() -> None:
    (layouts,) = re.findall(r"`--layout L` \| `([^`]+)`", COMMANDS_PAGE)
    assert set(layouts.split()) == set(LAYOUTS)
    documents = set(re.findall(r"Document: `([a-z]+)`", COMMANDS_PAGE))
    assert documents <= set(schemas.NAMES)


def test_every_problem_code_is_in_the_reference() -> None:
    assert [code for code in CODES if f"`{code}`" not in DATA_PAGE] == []


def test_every_setting_of_augmentation_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "augmentation.md").read_text(encoding="utf-8")
    keys = [field.name for field in fields(Augmentation)]
    plain = [key for key in keys if not key.startswith("p_") or key.removeprefix("p_") not in keys]
    assert [key for key in plain if f"`{key}`" not in page] == []


def test_the_words_that_name_a_disease_are_in_the_reference() -> None:
    lists = re.findall(r"```\n(.*?)```", DATA_PAGE, re.S)
    assert [set(words.split()) for words in lists] == [set(DISEASE), set(HEALTH)]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_page_about_memory_has_the_lectures_sums() -> None:
    assert len(SESSIONS) >= 5
    figures = ("= 160,168,004", "= 14,484,929,220", " 400,010\n", "\n260\n")
    assert [figure for figure in figures if figure not in MEMORY_PAGE] == []


@pytest.mark.parametrize(("command", "shown"), SESSIONS, ids=[words for words, _ in SESSIONS])
def test_a_command_about_memory_prints_what_the_page_shows(
    command: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Mebibytes and the peak's layer depend on the machine's kernels: only their form counts."""
    assert main(shlex.split(command)) == 0
    answer = capsys.readouterr().out
    told, wanted = (
        re.sub(r"(?<=at its peak in )[^,]*|[\d,]+\.\d", "#", text).replace("  ...", "...")
        for text in (answer, shown)
    )
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.OutputChecker().check_output(wanted, told, flags), answer


def test_the_python_of_the_page_about_memory_holds() -> None:
    code = "\n".join(re.findall(r"^```python\n(.*?)^```$", MEMORY_PAGE, re.M | re.S))
    test = doctest.DocTestParser().get_doctest(code, {}, "memory.md", None, None)
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0


def test_every_claim_of_the_lecture_has_an_experiment() -> None:
    assert len(CLAIMS) == 8


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_is_a_short_script_a_figure_and_a_section(name: str) -> None:
    folder = CLAIMS[name].parent
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert len(CLAIMS[name].read_text(encoding="utf-8").splitlines()) < 100
    assert (folder / f"{name}.svg").stat().st_size < 100_000
    assert f"]({name}.svg)" in page
    assert f"python docs/claims/{name}.py" in page
    table = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- end -->", page, re.S)
    assert table
    assert table[1].count("\n") > 1


@pytest.mark.slow
@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_can_be_measured_again(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    page = tmp_path / "README.md"
    page.write_text(f"before\n<!-- {name} -->\nold\n<!-- end -->\nafter\n", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", [name, "--quick", "--out", str(tmp_path)])
    monkeypatch.syspath_prepend(CLAIMS[name].parent)
    runpy.run_path(str(CLAIMS[name]), run_name="__main__")
    table = capsys.readouterr().out
    assert page.read_text(encoding="utf-8") == (
        f"before\n<!-- {name} -->\n{table}<!-- end -->\nafter\n"
    )
    assert "<text" in (tmp_path / f"{name}.svg").read_text(encoding="utf-8")
