"""Recipes are configurations that are understood, and say what they came to."""

import re
from pathlib import Path

import pytest

from convivo.config import build, read_toml
from convivo.verbs.settings import Settings

RECIPES = sorted((Path(__file__).parents[1] / "recipes").glob("*.toml"))
SAID = ("command", "score", "time", "n")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_a_configuration_with_its_result(path: Path) -> None:
    assert isinstance(build(Settings, read_toml(path)), Settings)
    head = path.read_text(encoding="utf-8")
    assert all(re.search(rf"^# {word}: \S", head, re.M) for word in SAID)
    assert f"--config recipes/{path.name}" in head


def test_there_are_recipes() -> None:
    assert len(RECIPES) > 1
