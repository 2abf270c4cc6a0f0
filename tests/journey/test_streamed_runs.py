"""Packed and streamed, a run ends in the same bytes as from memory, on every kind of data."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from convivo.data.sample import Sample
from convivo.errors import UsageError
from convivo.verbs import storing

from .tiny_runs import KINDS, Journey, train_tiny, valid

Journeys = Callable[[str], Journey]
RESULTS = ("weights.safetensors", "split.json", "predictions.csv")


def everything_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on no data set is small."""
    monkeypatch.setattr(storing, "MEMORY_SHARE", 2**40)


def results(run: Path) -> dict[str, bytes]:
    return {name: (run / name).read_bytes() for name in RESULTS}


@pytest.mark.parametrize("kind", KINDS)
def test_a_streamed_run_gives_the_same_bytes(
    kind: str, journey: Journeys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = journey(kind)
    place = tmp_path / "stores"
    everything_streams(monkeypatch)
    streamed = train_tiny(first.data, tmp_path / "run", store=place)
    assert results(streamed.path) == results(first.run.path)
    assert streamed.plan["store"]["streamed"]
    assert not first.run.plan["store"]["streamed"]
    assert any(
        reason.startswith("data is packed and streamed") for reason in streamed.plan["reasons"]
    )
    valid("plan", streamed.plan)
    assert len(list(place.glob("*/complete.json"))) == 1
    assert streamed.folder.config()["data"]["store"] == str(place)


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=() if k == "volumes" else pytest.mark.slow) for k in KINDS]
)
def test_what_fits_memory_is_packed_on_request_and_read_back(
    kind: str, journey: Journeys, tmp_path: Path
) -> None:
    first = journey(kind)
    place = tmp_path / "stores"
    for name in ("one", "two"):  # packed, then found again
        run = train_tiny(first.data, tmp_path / name, store=place)
        assert results(run.path) == results(first.run.path)
        assert not run.plan["store"]["streamed"]
        assert run.plan["store"]["packed"] > 0
    assert len(list(place.glob("*/complete.json"))) == 1


def test_without_a_folder_the_users_cache_is_used(
    journey: Journeys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = journey("volumes")
    everything_streams(monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    run = train_tiny(first.data, tmp_path / "run")
    assert results(run.path) == results(first.run.path)
    assert len(list((tmp_path / "cache/convivo/stores").glob("*/complete.json"))) == 1


def test_data_given_in_python_is_not_packed(tmp_path: Path) -> None:
    samples = [
        Sample(id=str(i), image=np.full((1, 16, 16), i % 2, np.float32), target=i % 2, unit=str(i))
        for i in range(12)
    ]
    with pytest.raises(UsageError, match=r"--store: only data read from files is packed; got data"):
        train_tiny(samples, tmp_path / "run", store=tmp_path / "stores")
