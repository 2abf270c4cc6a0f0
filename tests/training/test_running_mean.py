"""train.ema: the running mean of the weights is what is validated, kept and resumed."""

import pytest
import torch

from convivo.training.averaging import WARM
from convivo.training.checkpoint import load_tensors

EMA = 0.6


class Killed(Exception):
    """The process is gone: nothing after this is saved."""


def kept(training):
    return load_tensors(training.folder / "weights.safetensors")[0]


def test_mean_is_the_recursion_over_all_steps(make_training):
    training = make_training("run", ema=EMA)
    seen = []

    def batches(step):
        seen.append({k: v.clone() for k, v in training.state.network.state_dict().items()})
        return draw(step)

    draw, training.batches = training.batches, batches
    training.start()
    seen.append(training.state.network.state_dict())
    mean = {k: v.clone() for k, v in seen[0].items()}
    for step, now in enumerate(seen[1:]):
        share = 1 - min(EMA, (1 + step) / (WARM + step))
        for key, value in now.items():
            whole = not value.is_floating_point()
            mean[key] = value if whole else mean[key] + share * (value - mean[key])
    for key, value in training.state.average.state_dict().items():
        torch.testing.assert_close(value, mean[key], rtol=1e-5, atol=1e-6)
    # running statistics follow too, and are those of no single step
    assert not torch.equal(mean["1.running_mean"], seen[-1]["1.running_mean"])


def test_mean_is_validated_and_kept(make_training):
    training = make_training("run", ema=EMA)
    validate, looked_at = training.validate, []

    def watched(network):
        looked_at.append(network is training.state.average)
        return validate(network) | {"score": float(len(looked_at))}  # the last one is the best

    training.validate = watched
    training.start()
    assert looked_at == [True] * 4
    for key, value in training.state.average.state_dict().items():
        assert torch.equal(kept(training)[key], value)
    assert not torch.equal(kept(training)["0.weight"], training.state.network[0].weight)


@pytest.mark.parametrize("step", [2, 7])
def test_killed_run_goes_on_with_the_same_mean(make_training, step):
    whole, training = (make_training(name, ema=EMA) for name in ("whole", "killed"))
    whole.start()
    draw = training.batches

    def dying(number):
        if number == step:
            raise Killed
        return draw(number)

    training.batches = dying
    with pytest.raises(Killed):
        training.start()
    training.batches = draw
    training.start()
    means = [run.state.average.state_dict() for run in (training, whole)]
    assert all(torch.equal(means[0][key], means[1][key]) for key in means[1])
    assert training.last.read_bytes().count(b"average.0.weight") == 1


def test_skipped_step_moves_no_mean(make_training):
    training = make_training("run", ema=EMA)
    training.plan["steps"] = 1
    training.batches = lambda step: (torch.full((5, 2, 9), torch.inf), torch.zeros(5).long())
    before = training.fresh().average.state_dict()
    training.start()
    assert training.state.counters.skipped == 1
    for key, value in training.state.average.state_dict().items():
        assert torch.equal(value, before[key])
