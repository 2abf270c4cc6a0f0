"""Every JSON document has a schema and an example, and the schema is no rubber stamp."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from convivo import schemas
from convivo.errors import ConvivoError, UsageError

FOLDER = Path(schemas.__file__).parent


def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(schemas.schema(name))


def required_paths(schema: Any, document: Any, path: tuple = ()) -> list[tuple]:
    """Where in `document` the keys stand that `schema` requires, at any depth."""
    found = []
    if isinstance(document, dict):
        found = [(*path, key) for key in schema.get("required", ())]
        inner = schema.get("properties", {})
        other = schema.get("additionalProperties", {})
        for key, value in document.items():
            part = inner.get(key, other)
            found += required_paths(part, value, (*path, key)) if isinstance(part, dict) else []
    if isinstance(document, list) and document:
        found = required_paths(schema.get("items", {}), document[0], (*path, 0))
    return found


DROPS = [
    (name, path)
    for name in schemas.NAMES
    for path in required_paths(schemas.schema(name), schemas.example(name))
]


def test_every_file_is_named() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(schemas.NAMES)
    assert {path.stem for path in (FOLDER / "examples").glob("*.json")} == set(schemas.NAMES)


@pytest.mark.parametrize("name", schemas.NAMES)
def test_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(schemas.schema(name))
    assert schemas.schema(name)["title"] == name


@pytest.mark.parametrize("name", schemas.NAMES)
def test_example_is_valid_and_plain_json(name: str) -> None:
    example = schemas.example(name)
    validator(name).validate(example)
    assert json.loads(json.dumps(example, allow_nan=False)) == example


@pytest.mark.parametrize("name", schemas.NAMES)
def test_additions_are_free(name: str) -> None:
    validator(name).validate(schemas.example(name) | {"something_new": {"of": ["any", "kind"]}})


@pytest.mark.parametrize(("name", "path"), DROPS, ids=lambda v: str(v))
def test_a_missing_key_is_noticed(name: str, path: tuple) -> None:
    broken = deepcopy(schemas.example(name))
    place = broken
    for part in path[:-1]:
        place = place[part]
    del place[path[-1]]
    with pytest.raises(ValidationError, match="is a required property"):
        validator(name).validate(broken)


@pytest.mark.parametrize("name", [n for n in schemas.NAMES if n != "metrics-line"])
def test_another_version_is_noticed(name: str) -> None:  # only a line of a log carries none
    with pytest.raises(ValidationError, match="1 was expected"):
        validator(name).validate(schemas.example(name) | {"schema": 2})


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("inspect", {"layout": "folder"}),
        ("inspect", {"unit": "patient"}),
        ("inspect", {"spatial_dims": 4}),
        ("inspect", {"cases": 2.5}),
        ("plan", {"mode": "test"}),
        ("plan", {"input": [3]}),
        ("split", {"train": ["a", "a"]}),
        ("control", {"action": "halt"}),
        ("receipt", {"split_sha256": "abc"}),
        ("evaluation", {"metrics": {"dice": 0.9}}),
        ("evaluation", {"metrics": {"dice": {"value": "high", "low": None, "high": None}}}),
        ("compare", {"p": 1.5}),
        ("verify", {"ok": "yes"}),
        ("error", {"error": "no such file"}),
    ],
)
def test_a_wrong_value_is_noticed(name: str, change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        validator(name).validate(schemas.example(name) | change)


def test_errors_make_error_documents() -> None:
    error = ConvivoError("a.png", "the file must be an image", "text", "Remove it")
    validator("error").validate(error.document())


def test_unknown_name_says_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"schema: .*; got 'inspekt'. Did you mean 'inspect'"):
        schemas.schema("inspekt")
