import json
import math

import pytest
import torch

from convivo.errors import DataError
from convivo.training.loop import Schedule, train_step


def spoiling(training, steps):
    """Batches with an infinite value at the named steps."""
    batches = training.batches

    def draw(number):
        images, targets = batches(number)
        if number in steps:
            images[0, 0, 0] = math.inf
        return images, targets

    training.batches = draw


def rows(training):
    text = (training.folder / "metrics.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_training_lowers_the_loss(training):
    first = training.batches(0)
    training.batches = lambda number: first  # one batch again and again is learnt by heart
    training.plan |= {"steps": 60, "validate_every": 20}
    training.start()
    losses = [row["loss"] for row in rows(training)]
    assert losses[0] > losses[1] > losses[2]
    assert losses[2] < 0.5 * math.log(3)


def test_metrics_line_says_it_all(training):
    training.start()
    row = rows(training)[0]
    assert row.keys() == {
        "epoch", "step", "loss", "lr", "val", "best", "seconds", "validation_seconds",
        "skipped_steps", "precision",
    }  # fmt: skip
    assert (row["step"], row["epoch"], row["precision"], row["best"]) == (3, 0.75, "fp32", True)
    assert row["lr"] == pytest.approx(0.05)  # the third step is the first after the warm-up
    assert row["val"].keys() == {"score"}


def test_logged_loss_is_the_mean_since_the_last_validation(training):
    losses, original = [], training.step

    def step(network, images, targets):
        loss = original(network, images, targets)
        losses.append(float(loss.detach()))
        return loss

    training.step = step
    training.start()
    expected = [sum(losses[i : i + 3]) / 3 for i in (0, 3, 6, 9)]
    assert [row["loss"] for row in rows(training)] == pytest.approx(expected)


def test_validation_sees_the_network_in_evaluation_mode_without_gradients(training):
    seen = []

    def validate(network):
        seen.append((network.training, torch.is_inference_mode_enabled()))
        return {"score": 0.0}

    training.validate = validate
    training.start()
    assert seen == [(False, True)] * 4
    assert training.state.counters.best_step == 3  # an equal score is not a better one


def test_best_weights_are_those_of_the_best_score(training):
    from convivo.training.checkpoint import load_tensors

    scores, seen = iter([0.2, 0.9, 0.5, 0.8]), []

    def validate(network):
        seen.append({k: v.clone() for k, v in network.state_dict().items()})
        return {"score": next(scores)}

    training.validate = validate
    training.start()
    kept, _ = load_tensors(training.folder / "weights.safetensors")
    assert all(torch.equal(kept[name], tensor) for name, tensor in seen[1].items())
    counters = training.state.counters
    assert (counters.best_score, counters.best_step, counters.stale) == (0.9, 6, 2)
    assert [row["best"] for row in rows(training)] == [True, True, False, False]


def test_score_that_is_no_number_beats_nothing(training):
    scores = iter([math.nan, 0.1, math.nan, 0.3])
    training.validate = lambda network: {"score": next(scores)}
    training.start()
    assert [row["best"] for row in rows(training)] == [True, True, False, True]
    assert [row["val"]["score"] for row in rows(training)] == [None, 0.1, None, 0.3]
    assert training.state.counters.best_score == 0.3


def test_early_stopping(training):
    training.plan |= {"patience": 2}
    scores = iter([0.5, 0.4, 0.3, 0.9])
    training.validate = lambda network: {"score": next(scores)}
    assert training.start() == "early-stopping"
    assert training.state.step == 9
    assert training.start() == "early-stopping"  # and it stays ended when resumed
    assert training.state.step == 9


def test_step_with_infinite_gradients_changes_nothing(training):
    spoiling(training, {0})
    state = training.fresh()
    network = state.network
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    images, targets = training.batches(0)
    train_step(state, training.step, images, targets, Schedule(**training.plan))
    assert state.counters.skipped == 1
    assert state.counters.recent == [0]
    assert not state.optimizer.state
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_skipped_step_is_said_and_counted_and_the_run_goes_on(training, capsys):
    spoiling(training, {4})
    assert training.start() == "schedule"
    assert "step 5: gradients were not finite; the step was skipped" in capsys.readouterr().err
    assert [row["skipped_steps"] for row in rows(training)] == [0, 1, 1, 1]
    assert all(math.isfinite(row["loss"]) for row in rows(training))
    assert all(t.isfinite().all() for t in training.state.network.state_dict().values())


def test_bfloat16_that_keeps_failing_gives_way_to_float32(training, capsys):
    training.precision = "bf16"
    spoiling(training, {1, 4, 7})
    assert training.start() == "schedule"
    assert [row["precision"] for row in rows(training)] == ["bf16", "bf16", "fp32", "fp32"]
    assert capsys.readouterr().err.count("bf16 keeps failing here; going on in fp32") == 1
    assert training.state.counters.recent == []
    assert training.state.counters.skipped == 3


def test_bfloat16_that_fails_now_and_then_is_kept(training):
    training.precision = "bf16"
    training.plan |= {"steps": 70, "validate_every": 70}
    spoiling(training, {0, 1, 55, 60})
    training.start()
    assert training.state.counters.precision == "bf16"
    assert training.state.counters.recent == [55, 60]


def test_steps_run_in_the_precision_of_the_state(training):
    seen = []

    def step(network, images, targets):
        loss = training_step(network, images, targets)
        seen.append(network[0](images).dtype)
        return loss

    training_step, training.step, training.precision = training.step, step, "bf16"
    training.start()
    assert set(seen) == {torch.bfloat16}
    assert all(p.dtype == torch.float32 for p in training.state.network.parameters())


def test_gradients_infinite_even_in_float32_end_the_training(training):
    training.plan |= {"steps": 100, "validate_every": 100}
    spoiling(training, set(range(10, 100)))
    message = "train: gradients must be finite; got 25 bad steps of the last 50 in fp32. Lower"
    with pytest.raises(DataError, match=message):
        training.start()
    assert training.state.step == 35


def test_gradient_norm_is_clipped(training):
    state = training.fresh()
    plan = training.plan | {"clip": 1e-3}
    images, targets = training.batches(0)
    train_step(state, training.step, 100 * images, targets, Schedule(**plan))
    norms = [p.grad.norm() for p in state.network.parameters()]
    assert float(torch.stack(norms).norm()) == pytest.approx(1e-3, rel=1e-3)


def test_no_clipping_leaves_the_gradient_alone(training):
    gradients = []
    for clip in (0.0, 1e6):
        state = training.fresh()
        images, targets = training.batches(0)
        plan = training.plan | {"clip": clip}
        train_step(state, training.step, images, targets, Schedule(**plan))
        gradients.append([p.grad.numpy().tobytes() for p in state.network.parameters()])
    assert gradients[0] == gradients[1]


def test_late_weights_that_may_be_as_good_are_kept(training):
    training.plan |= {"steps": 27, "validate_every": 3, "patience": 0}
    scores = iter([0.1, 0.5, 0.8, 0.7, 0.79, 0.7, 0.78, 0.76, 0.5])
    training.validate = lambda network: {"score": next(scores)}
    training.start()
    assert [row["best"] for row in rows(training)] == [*[True] * 3, *[False] * 3, True, True, False]
    counters = training.state.counters
    assert (counters.best_score, counters.best_step) == (0.8, 24)


def test_where_a_training_gets_worse_its_best_weights_stay(training):
    training.plan |= {"steps": 27, "validate_every": 3, "patience": 0}
    scores = iter([0.5, 0.8, 0.75, 0.7, 0.66, 0.6, 0.55, math.nan, 0.5])
    training.validate = lambda network: {"score": next(scores)}
    training.start()
    assert training.state.counters.best_step == 6
