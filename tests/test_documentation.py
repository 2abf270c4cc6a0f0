"""What the reference says is what the program knows."""

import re
from pathlib import Path

import pytest
import typer

from convivo import schemas
from convivo.cli import app
from convivo.data.labels import DISEASE, HEALTH
from convivo.data.layouts import LAYOUTS
from convivo.data.problems import CODES

ROOT = Path(__file__).parents[1]
COMMANDS_PAGE = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
DATA_PAGE = (ROOT / "docs" / "reference" / "data.md").read_text(encoding="utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


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


def test_the_words_that_name_a_disease_are_in_the_reference() -> None:
    lists = re.findall(r"```\n(.*?)```", DATA_PAGE, re.S)
    assert [set(words.split()) for words in lists] == [set(DISEASE), set(HEALTH)]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []
