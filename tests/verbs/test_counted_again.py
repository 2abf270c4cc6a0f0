"""What a plan tells of its memory once its number format is settled."""

from typing import Any

import pytest
from torch import nn

from convivo.verbs import affording

PEAKS = {("bf16", "keep"): 500, ("fp32", "keep"): 900, ("fp32", "return"): 700}


def memory(peak: int) -> dict[str, int]:
    """Of a process; the tensors are a fifth."""
    return {
        "tensors_peak": peak // 5, "overhead": peak - peak // 5, "process_peak": peak,
        "process_bound": peak + 50,
    }  # fmt: skip


def counted(plan: Any, network: Any, seen: Any, keeping: Any, limit: Any = None) -> dict[str, Any]:
    """The step as settled, without a trace."""
    held = memory(PEAKS[seen.precision, seen.allocator])
    return {"memory": held, "peak_at": "", "timeline": [], "seconds_per_step": 2.0}


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(affording, "counted", counted)
    sampling = {"size": [8, 8]}
    return {"batch": 2, "sampling": sampling, "precision": "bf16", "memory": memory(900)}


@pytest.mark.parametrize(
    ("tried", "peak"), [("", 500), ("gradients", 700), ("steps", 900)], ids=str
)
def test_what_was_tried_in_float32_counts(plan: dict, tried: str, peak: int) -> None:
    found = affording.counted_again(plan, nn.Identity(), None, None, tried=tried)  # type: ignore[arg-type]
    assert found["memory"]["process_peak"] == peak
    assert found["memory"]["process_bound"] == peak + 50
    assert found["memory"]["tensors_peak"] == 100  # those of the training itself
    assert found["memory"]["overhead"] == peak - 100
    assert found["measured"] == {"seconds_foretold": 2.0}


def test_a_smaller_trial_changes_nothing(plan: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PEAKS, ("fp32", "return"), 400)
    found = affording.counted_again(plan, nn.Identity(), None, None, tried="gradients")  # type: ignore[arg-type]
    assert found["memory"] == memory(500)


def test_of_what_cannot_be_traced_nothing_is_told(plan: dict) -> None:
    plan["memory"] = dict.fromkeys(plan["memory"])
    assert affording.counted_again(plan, nn.Identity(), None, None, tried="steps") == {}  # type: ignore[arg-type]
