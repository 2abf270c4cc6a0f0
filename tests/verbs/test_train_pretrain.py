"""train --pretrain: recorded, told, counted, resumed to the same bytes; refused where it must."""

import json
import os
import signal
import threading
import time

import pytest
import torch
from jsonschema import Draft202012Validator
from torch import nn

import convivo
from convivo import schemas
from convivo.data.phantoms import make_images, make_signals, make_volumes
from convivo.errors import ConfigError, Interrupted, UsageError
from convivo.layers import Conv
from convivo.training.checkpoint import load_tensors
from convivo.verbs.pretext import must_rebuild, pretrain_entry
from convivo.verbs.settings import NetSettings, PretrainSettings, Settings
from convivo.verbs.wishes import settings_of, with_plan

TINY = ("net.width=0.125", "pretrain.epochs=30")
RESULTS = ("weights.safetensors", "pretrained.safetensors", "predictions.csv", "config.toml")


def short(data, out, *settings, **options):
    given = {"epochs": 1, "threads": 1, "quiet": True, "pretrain": "reconstruct"} | options
    return convivo.train(data, out=out, settings=settings, **given)


def results(run):
    return [(run.path / name).read_bytes() for name in RESULTS]


def plan_of(run):
    return {k: v for k, v in run.plan.items() if k != "measured"}


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    out = tmp_path_factory.mktemp("cells") / "data"
    return make_images(out, count=16, size=(40, 44), task="classify")


@pytest.fixture(scope="module")
def run(cells, tmp_path_factory):
    return short(cells, tmp_path_factory.mktemp("run") / "run", *TINY)


def test_it_is_recorded_and_told(run):
    entry, seen = run.plan["pretrain"], run.plan["measured"]["pretrain"]
    assert entry == {
        "method": "reconstruct", "masked": 0.6, "share": 0.25, "epochs": 30, "unlabelled": [],
        "steps": 30, "steps_per_epoch": 1,
    }  # fmt: skip
    assert (seen["steps"], seen["ended"]) == (30, "schedule")
    train = len(run.folder.json("split.json")["train"])
    assert run.evaluation["notes"][-1] == (
        f"Before the training the network learnt to rebuild hidden blocks of {train} training "
        "cases and 0 cases without labels, in 30 steps."
    )
    assert run.evaluation["notes"][-1] in (run.path / "report.html").read_text(encoding="utf-8")
    Draft202012Validator(schemas.schema("plan")).validate(run.folder.json("plan.json"))
    assert sorted(p.name for p in (run.path / "pretrain").iterdir()) == ["metrics.jsonl"]


def test_what_was_learnt_is_where_the_training_starts(run):
    rows = (run.path / "pretrain" / "metrics.jsonl").read_text().splitlines()
    errors = [-json.loads(row)["val"]["score"] for row in rows]
    assert errors[-1] < 0.95 * errors[0]
    learnt = load_tensors(run.path / "pretrained.safetensors")[0]
    torch.manual_seed(0)
    shape = {"spatial_dims": 2, "in_channels": learnt["conv1.weight"].shape[1], "num_classes": 2}
    stem = {"width": 0.125, "stem": run.plan["network"]["options"]["stem"]}
    fresh = convivo.create("resnet18", **shape, **stem).state_dict()
    assert not torch.equal(learnt["layer4.1.conv2.weight"], fresh["layer4.1.conv2.weight"])
    assert torch.equal(learnt["fc.weight"], fresh["fc.weight"])


def test_interrupted_it_goes_on_to_the_same_bytes(cells, run, tmp_path):
    out = tmp_path / "run"

    def stop():
        end = time.monotonic() + 60
        while not (out / "pretrain" / "metrics.jsonl").exists() and time.monotonic() < end:
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGTERM)

    watcher = threading.Thread(target=stop)
    watcher.start()
    with pytest.raises(Interrupted):
        short(cells, out, *TINY)
    watcher.join()
    assert not (out / "pretrained.safetensors").exists()
    again = short(cells, out, *TINY, resume=True)
    assert results(again) == results(run)
    assert plan_of(again) == plan_of(run)


def test_the_heavier_step_is_what_is_foretold(cells):
    settings = ("net.width=0.125", "train.batch=8")
    asked = ("pretrain.method=reconstruct",)
    plain, both = (convivo.plan(cells, settings=(*settings, *more)) for more in ((), asked))
    one, two = (plan.contents["memory"]["tensors_peak"] for plan in (plain, both))
    assert two > 1.2 * one  # a decoder on the input's own grid
    assert both.contents["parameters"] == plain.contents["parameters"]


def given(**more):
    names = ("config", "layout", "task", "subject", "labels", "positive", "threads", "net")
    base = dict.fromkeys((*names, "epochs")) | {"settings": (), "data": "d", "accept": ()}
    return base | {"seed": 0, "precision": "auto"} | more


def wish(**fields):
    return Settings(pretrain=PretrainSettings(**({"method": "reconstruct"} | fields)))


@pytest.mark.parametrize(
    ("settings", "task", "error", "message"),
    [
        (wish(), "reconstruct", UsageError, "a start for tasks with labels; got the task reconst"),
        (wish(), "generate", UsageError, "--pretrain: a start for tasks with labels; got the task"),
        (wish(share=1.0), "segment", ConfigError, "pretrain.share: a share below 1; got 1.0"),
        (wish(masked=2.0), "segment", ConfigError, "pretrain.masked: a share below 1; got 2.0"),
        (wish(method=None, epochs=3), "classify", ConfigError,
         "pretrain.epochs: a setting of a pretraining; got none. Add --pretrain reconstruct"),
        (wish().model_copy(update={"net": NetSettings(pretrained="a")}), "classify", UsageError,
         "--pretrain: a network starts from one set of weights; got --init as well. Leave one"),
    ],
)  # fmt: skip
def test_refusals(settings, task, error, message):
    with pytest.raises(error, match=message):
        pretrain_entry(settings, task)
    assert pretrain_entry(Settings(), task) == {}


def test_an_unknown_method_and_a_plan_without_it_are_refused():
    with pytest.raises(UsageError, match="--pretrain: a known method; got 'contrast'"):
        settings_of(given(pretrain="contrast"))
    with pytest.raises(UsageError, match="--pretrain: the plan repeats a training without it; got"):
        with_plan(settings_of(given(pretrain="reconstruct")), {"task": "classify"})


class Own(nn.Module):
    """A network of one's own that tells its body."""

    def __init__(self, told=True):
        super().__init__()
        self.conv, self.fc = Conv(3, 4, 3, padding=1, spatial_dims=2), nn.Linear(4, 2)
        if told:
            self.feature_channels = (4,)

    def features(self, x):
        return [self.conv(x).relu()]

    def forward(self, x):
        return self.fc(self.features(x)[-1].mean((2, 3)))


def test_a_module_that_tells_no_body_is_refused():
    message = "--pretrain: a network whose convolutional body can be told, .*; got Own without feat"
    with pytest.raises(UsageError, match=message):
        must_rebuild({"task": "classify"}, Own(told=False))


@pytest.mark.slow
def test_ones_own_module_is_pretrained_too(cells, tmp_path):
    torch.manual_seed(0)
    channels = convivo.inspect(cells, quiet=True).statistics.channels
    net = Own()
    net.conv = Conv(channels, 4, 3, padding=1, spatial_dims=2)
    before = net.conv.weight.clone()
    run = short(cells, tmp_path / "run", "pretrain.epochs=5", net=net)
    learnt = load_tensors(run.path / "pretrained.safetensors")[0]
    assert not torch.equal(learnt["conv.weight"], before)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["volumes", "signals"])
def test_a_plan_and_packed_data_repeat_it(kind, tmp_path):
    data = tmp_path / "data"
    if kind == "volumes":
        make_volumes(data, count=6, shape=(14, 18, 12))
    else:
        make_signals(data, records=6, seconds=12)
    settings = (*TINY[:1], "pretrain.epochs=2", "train.ema=0.9")
    first = short(data, tmp_path / "first", *settings)
    options = {"epochs": None, "pretrain": None, "plan": first.path / "plan.json"}
    again = short(data, tmp_path / "again", store=tmp_path / "store", **options)
    assert results(again)[:3] == results(first)[:3]
    assert plan_of(again)["pretrain"] == plan_of(first)["pretrain"]
    assert len(first.plan["pretrain"]["unlabelled"]) == (2 if kind == "volumes" else 0)


@pytest.mark.slow
def test_each_fold_pretrains_on_its_own_part(tmp_path):
    data = make_volumes(tmp_path / "data", count=6, shape=(14, 18, 12))
    run = short(data, tmp_path / "run", *TINY[:1], "pretrain.epochs=1", folds=2)
    learnt = [(run.path / f"fold_{n}" / "pretrained.safetensors").read_bytes() for n in (0, 1)]
    assert learnt[0] != learnt[1]


@pytest.mark.slow
def test_it_keeps_within_its_share_of_the_time(tmp_path):
    data = make_volumes(tmp_path / "data", count=6, shape=(14, 18, 12))
    run = short(data, tmp_path / "run", *TINY[:1], epochs=None, time=60)
    assert run.plan["measured"]["pretrain"]["ended"] == "schedule"
    assert run.plan["measured"]["ended"] != "clock"
