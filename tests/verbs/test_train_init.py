"""train --init: from a run or a file of weights, told to the user and recorded in the plan."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import convivo
from convivo.architectures.create import create
from convivo.cli import main
from convivo.data.inspection import inspect_data
from convivo.data.phantoms import make_images, make_volumes
from convivo.data.split import make_split
from convivo.errors import ConfigError, ReadError, UsageError
from convivo.files import sha256, write_json
from convivo.layers import Conv
from convivo.verbs.facts import facts_of
from convivo.verbs.settings import NetSettings, Settings
from convivo.verbs.starting import with_start

# steps too small to change any weight: what is saved is what it started from
STILL = ("train.lr=1e-30", "augment.enabled=false")


def short(data, out, *settings, **options):
    given = {"epochs": 1, "threads": 1, "quiet": True} | options
    return convivo.train(data, out=out, settings=settings, **given)


def weights(run):
    return load_file(run.path / "weights.safetensors")


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    out = tmp_path_factory.mktemp("cells") / "data"
    return make_images(out, count=16, size=(40, 44), task="classify")


@pytest.fixture(scope="module")
def trained(cells, tmp_path_factory):
    """A run of a network that nobody would choose."""
    out = tmp_path_factory.mktemp("trained") / "first"
    return short(cells, out, "net.width=0.125", "net.dropout=0.25", net="resnet18")


@pytest.fixture(scope="module")
def started(cells, trained, tmp_path_factory):
    """A run that started from the other one and stayed there."""
    return short(cells, tmp_path_factory.mktemp("started") / "run", *STILL, init=trained)


@pytest.fixture
def copied(started, tmp_path):
    """An unfinished copy of that run."""
    copy = Path(shutil.copytree(started.path, tmp_path / "copy"))
    for name in ("receipt.json", "report.html", "weights.safetensors"):
        (copy / name).unlink()
    return copy


def test_a_run_gives_its_network_and_its_weights(trained, started):
    net, first = started.plan["network"], trained.plan["network"]
    assert (net["name"], net["width"], net["options"]) == ("resnet18", 0.125, first["options"])
    assert net["options"]["dropout"] == 0.25
    file = trained.path / "weights.safetensors"
    assert started.plan["init"] == {
        "path": str(file), "sha256": sha256(file), "inflation": "centre", "keep_head": True,
    }  # fmt: skip
    assert started.folder.config()["net"]["pretrained"] == str(file)
    before, after = weights(trained), weights(started)
    assert torch.equal(after["conv1.weight"], before["conv1.weight"])
    assert torch.equal(after["fc.weight"], before["fc.weight"])


def test_the_command_says_what_it_starts_from(cells, trained, tmp_path, capsys):
    for number, folder in enumerate(sorted(p for p in Path(cells).iterdir() if p.is_dir())):
        shutil.copytree(folder, tmp_path / "data" / f"class {number}")
    words = ["train", str(tmp_path / "data"), "--out", str(tmp_path / "run"), "--epochs", "1"]
    words += ["--init", str(trained.path), "--threads", "1", *(f"--set={s}" for s in STILL)]
    assert main(words) == 0
    said = "starts from first: 120 tensors, head new (fc)"
    assert said in capsys.readouterr().err
    run = convivo.load(tmp_path / "run")
    assert said in run.plan["reasons"]
    assert run.plan["init"]["keep_head"] is False  # as many classes, but others
    before, after = weights(trained), weights(run)
    assert torch.equal(after["conv1.weight"], before["conv1.weight"])
    assert not torch.equal(after["fc.weight"], before["fc.weight"])


def test_a_resumed_run_needs_the_file_no_more(cells, started, copied):
    plan = json.loads((copied / "plan.json").read_text(encoding="utf-8"))
    plan["init"]["path"] = str(copied / "nowhere.safetensors")
    write_json(copied / "plan.json", plan)
    shutil.copy(started.path / "weights.safetensors", copied)
    again = short(cells, copied, resume=True)
    assert again.evaluation["metrics"] == started.evaluation["metrics"]


def test_a_run_killed_before_its_first_saving_starts_from_them_again(cells, trained, copied):
    (copied / "last" / "state.safetensors").unlink()
    again = short(cells, copied, resume=True)
    assert torch.equal(weights(again)["conv1.weight"], weights(trained)["conv1.weight"])


def test_a_plan_is_repeated_from_the_same_weights_only(cells, trained, started, tmp_path):
    moved = Path(shutil.copytree(trained.path, tmp_path / "moved" / "first"))
    plan = json.loads((started.path / "plan.json").read_text(encoding="utf-8"))
    plan["init"]["path"] = str(tmp_path / "gone" / "weights.safetensors")
    write_json(tmp_path / "plan.json", plan)
    with pytest.raises(ReadError, match=r"gone/weights\.safetensors: --init takes .*got nothing"):
        short(cells, tmp_path / "missing", plan=tmp_path / "plan.json")
    found = short(cells, tmp_path / "found", *STILL, plan=tmp_path / "plan.json", init=moved)
    assert found.plan["init"]["path"] == str(moved / "weights.safetensors")
    assert found.plan["reasons"] == started.plan["reasons"]
    for name in ("weights.safetensors", "predictions.csv"):
        assert (found.path / name).read_bytes() == (started.path / name).read_bytes()
    save_file(weights(trained) | {"fc.bias": torch.ones(2)}, moved / "weights.safetensors")
    with pytest.raises(
        UsageError, match=r"the plan starts from weights with the hash [0-9a-f]{12}"
    ):
        short(cells, tmp_path / "changed", plan=tmp_path / "plan.json", init=moved)
    assert not (tmp_path / "changed").exists()


def test_images_begin_volumes_and_the_padding_of_mean_stays(tmp_path):
    volumes = make_volumes(tmp_path / "volumes", count=6, shape=(14, 18, 12))
    images = make_images(tmp_path / "images", count=8, size=(36, 44))
    small = ("net.width=0.125", "net.channels=[32,64]", "net.strides=[[1,1],[2,2]]")
    flat = short(images, tmp_path / "flat", *small)
    run = short(volumes, tmp_path / "deep", *STILL, "net.inflation=mean", init=flat)
    assert run.plan["network"]["options"]["strides"] == [[1, 1, 1], [2, 2, 2]]
    assert run.plan["init"]["inflation"] == "mean"
    kernel, deep = weights(flat)["encoder.0.3.weight"], weights(run)["encoder.0.3.weight"]
    torch.testing.assert_close(deep[:, :, 1], kernel / 3)
    (sentence,) = [reason for reason in run.plan["reasons"] if reason.startswith("starts from")]
    assert "kernels inflated (mean) from 2D to 3D" in sentence
    modes = {layer.padding_mode for layer in run.network.modules() if isinstance(layer, Conv)}
    assert modes == {("replicate", "zeros", "zeros")}
    assert run.evaluate(threads=1, quiet=True)["metrics"] == run.evaluation["metrics"]


def test_a_file_of_weights_and_an_own_module(cells, tmp_path):
    torch.manual_seed(1)
    published = create("resnet18", in_channels=3, num_classes=1000, width=0.125)
    torch.save(published.state_dict(), tmp_path / "resnet18.pth")
    own = create("resnet18", in_channels=3, num_classes=2, width=0.125, stem="published")
    run = short(cells, tmp_path / "run", *STILL, net=own, init=tmp_path / "resnet18.pth")
    assert torch.equal(weights(run)["conv1.weight"], published.conv1.weight.detach())
    assert "starts from resnet18.pth: 120 tensors, head new (fc)" in run.plan["reasons"]
    assert run.plan["init"]["keep_head"] is True


@pytest.fixture(scope="module")
def facts(cells):
    inspection = inspect_data(Path(cells))
    return facts_of(inspection, make_split(inspection).train)


def wished(facts, **net):
    return with_start(Settings(net=NetSettings(**net)), facts).net.model_dump(exclude_none=True)


def test_a_file_is_of_the_published_form_and_a_run_of_its_own(facts, trained, tmp_path):
    file, run = tmp_path / "weights.pth", str(trained.path)
    file.touch()
    net = wished(facts, pretrained=str(file))
    assert net == {"pretrained": str(file), "width": 1.0, "stem": "published"}
    net = wished(facts, pretrained=str(file), name="resnet50", width=0.5, stem="small")
    assert (net["width"], net["stem"]) == (0.5, "small")
    net = wished(facts, pretrained=run, dropout=0.0)
    assert (net["name"], net["width"], net["dropout"]) == ("resnet18", 0.125, 0.0)
    assert set(wished(facts, pretrained=run, name="vgg11")) == {"name", "pretrained"}
    assert wished(facts, pretrained=f"{run}/weights.safetensors")["width"] == 0.125
    assert wished(facts, name="lenet5") == {"name": "lenet5"}


def test_starting_weights_by_name(cells, tmp_path):
    settings = (*STILL, "net.width=0.125", "net.init=orthogonal")
    run = short(cells, tmp_path / "run", *settings, net="resnet18")
    assert run.plan["network"]["options"]["init"] == "orthogonal"
    kernel = weights(run)["layer1.0.conv1.weight"].flatten(1)
    torch.testing.assert_close(kernel @ kernel.T, 2 * torch.eye(8), rtol=1e-4, atol=1e-4)


def test_what_cannot_be_is_refused_at_once(cells, trained, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(ConfigError, match=r"net\.init: .*Did you mean 'he_normal'"):
        short(cells, out, "net.init=he_normale")
    with pytest.raises(ConfigError, match=r"net\.inflation: .*Did you mean 'mean'"):
        short(cells, out, "net.inflation=means")
    with pytest.raises(ReadError, match=r"--init takes the folder of a run.*got nothing\. Check"):
        short(cells, out, init=tmp_path / "nowhere")
    with pytest.raises(ReadError, match=r"got a folder without weights\.safetensors"):
        short(cells, out, init=cells)
    with pytest.raises(UsageError, match="must be those of this network"):
        short(cells, out, "net.width=0.25", init=trained)
    assert not out.exists()
