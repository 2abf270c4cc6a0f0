"""Equal data, plan and threads give equal weights, byte for byte, however often a run stops."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from convivo.errors import UsageError

from .tiny_runs import KINDS, TINY, Journey, files_below, train_tiny

Journeys = Callable[[str], Journey]
RESULTS = ("weights.safetensors", "split.json", "predictions.csv")
EPOCHS = "6"


def results(run: Path) -> dict[str, bytes]:
    return {name: (run / name).read_bytes() for name in RESULTS}


@pytest.mark.parametrize("kind", KINDS)
def test_training_twice_gives_the_same_bytes(kind: str, journey: Journeys, tmp_path: Path) -> None:
    first = journey(kind)
    again = train_tiny(first.data, tmp_path / "again")
    assert results(again.path) == results(first.run.path)
    plans = [dict(run.plan) for run in (first.run, again)]
    for plan in plans:
        del plan["measured"]
    assert plans[0] == plans[1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_plan_repeats_a_run(kind: str, journey: Journeys, tmp_path: Path) -> None:
    first = journey(kind)
    plan = first.run.path / "plan.json"
    again = train_tiny(first.data, tmp_path / "again", plan=plan, epochs=None)
    assert results(again.path) == results(first.run.path)


def test_another_seed_gives_other_weights(journey: Journeys, tmp_path: Path) -> None:
    first = journey("cells")
    other = train_tiny(first.data, tmp_path / "other", seed=1)
    name = "weights.safetensors"
    assert (other.path / name).read_bytes() != (first.run.path / name).read_bytes()
    assert other.plan["seed"] == 1


def test_a_plan_of_something_else_is_refused(journey: Journeys, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text('{"schema": 1, "net": "unet"}', encoding="utf-8")
    with pytest.raises(UsageError, match="--plan: the plan of a training; got another document"):
        train_tiny(journey("cells").data, tmp_path / "run", plan=plan, epochs=None)
    assert not (tmp_path / "run").exists()


# --- stopped from outside


def command(data: Path, out: Path, *more: str) -> list[str]:
    words = ["train", str(data), "--out", str(out), "--epochs", EPOCHS, "--threads", "1", "-q"]
    return [sys.executable, "-m", "convivo", *words, "--set", TINY[0], *more]


def start(data: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command(data, out, *more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment,
    )  # fmt: skip


def wait_for_steps(process: subprocess.Popen[str], out: Path) -> None:
    """Until a line of metrics is written: the run is in the middle of its training."""
    end = time.monotonic() + 60
    while not (out / "metrics.jsonl").exists() and time.monotonic() < end:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.002)


def finish(data: Path, out: Path) -> None:
    process = start(data, out, "--resume")
    _, complaints = process.communicate(timeout=120)
    assert process.returncode == 0, complaints


def test_a_killed_run_goes_on_to_the_same_bytes(journey: Journeys, tmp_path: Path) -> None:
    data, out = journey("cells").data, tmp_path / "killed"
    whole = train_tiny(data, tmp_path / "whole", epochs=int(EPOCHS))
    process = start(data, out)
    wait_for_steps(process, out)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (out / "receipt.json").exists()
    (out / ".weights.safetensors.abc.part").write_bytes(b"half")  # what a kill may leave
    again = train_tiny(data, out, epochs=int(EPOCHS), resume=True)
    assert results(again.path) == results(whole.path)
    assert not [name for name in files_below(out) if name.endswith(".part")]
    metrics = [(run.path / "metrics.jsonl").read_text().splitlines() for run in (whole, again)]
    steps = [[json.loads(line)["step"] for line in lines] for lines in metrics]
    assert steps[0] == steps[1]


def test_a_terminated_run_saves_itself_and_says_so(journey: Journeys, tmp_path: Path) -> None:
    data, out = journey("cells").data, tmp_path / "run"
    process = start(data, out, "--json")
    wait_for_steps(process, out)
    process.send_signal(signal.SIGTERM)
    answer, complaints = process.communicate(timeout=60)
    assert process.returncode == 143
    (line,) = complaints.splitlines()
    assert line.startswith("convivo: error: train: the run was stopped and its state saved; ")
    assert line.endswith(". Run the same command with --resume to go on.")
    assert json.loads(answer)["error"]["got"].startswith("SIGTERM after step ")
    assert (out / "last" / "state.safetensors").exists()
    (out / "control.json").unlink()
    before = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])["step"]
    process = start(data, out, "--resume")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        lines = (out / "metrics.jsonl").read_text().splitlines()
        if lines and lines[-1].endswith("}") and json.loads(lines[-1])["step"] > before:
            break
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130


def test_two_processes_never_write_one_run(journey: Journeys, tmp_path: Path) -> None:
    from convivo.verbs.folder import Folder

    folder = Folder(tmp_path / "run")
    folder.claim(resume=False)
    try:
        with pytest.raises(UsageError, match="one process writes a run; got a run in progress"):
            train_tiny(journey("cells").data, tmp_path / "run", resume=True)
    finally:
        folder.release()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_ten_kills_change_nothing(kind: str, journey: Journeys, tmp_path: Path) -> None:
    data, out = journey(kind).data, tmp_path / "killed"
    whole = train_tiny(data, tmp_path / "whole", epochs=int(EPOCHS))
    moments = random.Random(0)
    for number in range(10):
        process = start(data, out, *(["--resume"] if number else []))
        time.sleep(moments.uniform(0.5, 8.0))
        process.kill()
        process.communicate()
    finish(data, out)
    assert results(out) == results(whole.path)
