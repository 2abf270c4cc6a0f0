"""One trained run per kind of data, shared by all journeys; who changes one takes a copy."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .tiny_runs import Journey, make_journey

Factory = pytest.TempPathFactory


@pytest.fixture(scope="session")
def journey(tmp_path_factory: Factory) -> Iterator[Callable[[str], Journey]]:
    """Kind of data -> its journey, made when first asked for; at the end none was changed."""
    made: dict[str, Journey] = {}

    def of(kind: str) -> Journey:
        if kind not in made:
            made[kind] = make_journey(kind, tmp_path_factory.mktemp(kind))
        return made[kind]

    yield of
    for kind, one in made.items():
        receipt = json.loads((one.run.path / "receipt.json").read_text(encoding="utf-8"))
        assert receipt["test_evaluations"] == 1, f"a test evaluated the shared run of {kind}"


@pytest.fixture
def copied_run(journey: Callable[[str], Journey], tmp_path: Path) -> Callable[[str], Path]:
    """Kind of data -> a copy of its run folder, to be changed."""

    def of(kind: str) -> Path:
        return Path(shutil.copytree(journey(kind).run.path, tmp_path / f"copy_{kind}"))

    return of
