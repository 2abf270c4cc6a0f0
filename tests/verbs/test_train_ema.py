"""train.ema: asked for in the configuration, its cost told and counted, its weights shipped."""

import pytest
import torch

import convivo
from convivo.data.phantoms import make_images
from convivo.errors import ConfigError
from convivo.training.checkpoint import load_tensors, unprefixed
from convivo.verbs.mean_weights import check_ema, mean_bytes
from convivo.verbs.settings import TrainSettings

NET = ("net.width=0.125", "train.batch=4")


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    out = tmp_path_factory.mktemp("cells") / "data"
    return make_images(out, count=16, size=(40, 44), task="classify")


def test_the_mean_is_shipped_and_its_cost_told(cells, tmp_path):
    settings = (*NET, "train.ema=0.9", "train.patience=0")
    out = tmp_path / "run"
    run = convivo.train(cells, out=out, epochs=1, threads=1, quiet=True, settings=settings)
    state = load_tensors(out / "last" / "state.safetensors")[0]
    shipped = load_tensors(out / "weights.safetensors")[0]
    mean, last = (unprefixed(name, state) for name in ("average", "network"))
    assert all(torch.equal(shipped[key], value) for key, value in mean.items())
    assert any(not torch.equal(shipped[key], value) for key, value in last.items())
    assert run.plan["train"]["ema"] == 0.9
    size = sum(t.numel() * t.itemsize for t in mean.values())
    (told,) = [r for r in run.plan["reasons"] if "running mean" in r]
    assert told == (
        f"kept is the running mean of the weights (train.ema=0.9): {size / 2**20:,.1f} MiB more"
    )


def test_the_copy_is_of_weights_and_running_statistics():
    layer = torch.nn.BatchNorm1d(4)  # four rows of float32, and a count
    assert mean_bytes({"train": {"ema": 0.9}}, layer) == 4 * 4 * 4 + 8
    assert mean_bytes({"train": {}}, layer) == 0


@pytest.mark.slow
def test_the_copy_is_counted(cells):
    plans = [convivo.plan(cells, settings=(*NET, *more)) for more in ((), ("train.ema=0.9",))]
    without, with_mean = (plan.contents["memory"] for plan in plans)
    state = convivo.create("resnet18", num_classes=2, in_channels=1, width=0.125).state_dict()
    size = sum(t.numel() * t.itemsize for t in state.values())
    grown = with_mean["process_peak"] - without["process_peak"]
    assert 0.7 * size < grown < 1.3 * size  # the published stem has more taps
    assert with_mean["tensors_peak"] == without["tensors_peak"]


@pytest.mark.parametrize(
    ("task", "ema", "message"),
    [
        ("segment", 1.0, r"train.ema: a share below 1; got 1.0. Give a number such as 0.999."),
        ("generate", 0.9, r"train.ema: a generator has a mean of its own; got 0.9. Set task.ema "),
    ],
)
def test_refusals(task, ema, message):
    with pytest.raises(ConfigError, match=message):
        check_ema(task, TrainSettings(ema=ema))
    check_ema(task, TrainSettings(ema=0.0))
