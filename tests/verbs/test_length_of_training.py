"""How long a training is where nobody says: by steps, and for beats by looks at them."""

from types import SimpleNamespace
from typing import Any

import pytest

from convivo.verbs.calibrate import fix_by_epochs


def parts(task: str, sampling: str, per_epoch: int) -> Any:
    """What the rule looks at of the parts of a training."""
    plan = {"task": task, "sampling": {"mode": sampling}}
    return SimpleNamespace(plan=plan, batches=SimpleNamespace(steps_per_epoch=per_epoch))


@pytest.mark.parametrize(
    ("task", "sampling", "per_epoch", "steps"),
    [
        ("classify", "whole", 10, 3000),
        ("classify", "whole", 280, 11 * 280),
        ("classify", "whole", 5, 300 * 5),
        ("classify", "window", 280, 4 * 280),  # the epochs that hold 1,000 steps
        ("classify", "window", 2000, 3 * 2000),
        ("reconstruct", "window", 280, 11 * 280),
    ],
)
def test_moments_of_records_are_looked_at_few_times(
    task: str, sampling: str, per_epoch: int, steps: int
) -> None:
    found = fix_by_epochs(parts(task, sampling, per_epoch), None, "fp32")
    assert found.steps == steps
    assert found.steps % per_epoch == 0


def test_epochs_that_are_asked_for_are_done() -> None:
    assert fix_by_epochs(parts("classify", "window", 280), 7, "fp32").steps == 7 * 280
