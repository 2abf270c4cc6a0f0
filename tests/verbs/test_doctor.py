"""doctor: the document is the schema's, nothing is measured where it is not wanted."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from convivo import schemas
from convivo.cli import main
from convivo.planning.machine import Memory, remember
from convivo.training.process_memory import held, memory_of
from convivo.verbs.calibrate_memory import _kernel_bytes
from convivo.verbs.doctor import doctor
from convivo.verbs.resident import Trial, can_measure, measured


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_quick_look_is_the_schemas_and_keeps_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(["doctor", "--quick", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    Draft202012Validator(schemas.schema("doctor")).validate(document)
    assert document["cpu"]["cores"] >= 1
    assert document["versions"]["torch"]
    assert document["cache"] is None
    assert any("nothing was measured here yet" in finding for finding in document["findings"])
    assert not (tmp_path / "cache").exists()


def test_a_quick_look_shows_what_was_kept() -> None:
    remember(replace(Memory(), library=12345), {"threads": 1})
    document = doctor(quick=True).document()
    assert document["memory"]["library"] == 12345
    assert document["speeds"] == {"threads": 1}
    assert not any("nothing was measured" in finding for finding in document["findings"])


def test_the_text_names_machine_and_findings() -> None:
    text = doctor(quick=True).text()
    assert "torch" in text
    assert "processor" in text
    assert "margin" in text


def test_kernels_weigh_by_their_number() -> None:
    # one row says 100 for each of its 10 kernels, two others 1 and 2 for one each
    assert _kernel_bytes([(1000, 0, 10), (1, 0, 1), (2, 0, 1)]) == 100
    assert _kernel_bytes([(5, 10, 3)]) == 0
    assert _kernel_bytes([(5, 10, 0)]) == Memory().kernel


@pytest.mark.skipif(not can_measure(), reason="this system does not tell")
def test_a_real_process_is_measured_and_a_failing_one_is_none() -> None:
    small = Trial(net="mlp", size=(64,), train=False, keeps=False)
    large = Trial(net="mlp", size=(4096, 8), train=False, keeps=False)
    broken = Trial(net="no_such_network", size=(16,), train=False, keeps=False)
    few, failed, many = measured([small, broken, large], threads=1)
    assert failed is None
    assert few is not None
    assert many is not None
    weights = 4 * 4096 * 8 * 1000  # of its first layer
    assert many - few == pytest.approx(weights, rel=0.25)


@pytest.mark.skipif(not can_measure(), reason="this system does not tell")
def test_held_leaves_files_out() -> None:
    now = memory_of("self")
    assert 0 < held(now) < now["VmHWM"]
    assert memory_of(2**30) == {}
