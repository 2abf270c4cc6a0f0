"""Reading a file of weights: what others save, and what is refused."""

import argparse

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from convivo.architectures.weights_file import read_weights
from convivo.errors import ReadError


def state():
    torch.manual_seed(0)
    return dict(nn.Linear(3, 2).state_dict())


def same(read):
    expected = state()
    assert set(read) == set(expected)
    assert all(torch.equal(read[name], expected[name]) for name in expected)


def test_safetensors_by_name_or_by_what_is_in_it(tmp_path):
    for name in ("weights.safetensors", "weights.bin"):
        save_file(state(), tmp_path / name)
        same(read_weights(tmp_path / name))


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "older"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"state_dict": s, "epoch": 3, "loss": torch.ones(())},
        lambda s: {"model": {"state_dict": s}},
        lambda s: {f"module.{k}": t for k, t in s.items()},
        lambda s: {"model": {f"_orig_mod.module.{k}": t for k, t in s.items()}},
    ],
    ids=["plain", "nested", "twice", "prefixed", "both"],
)
def test_what_torch_saved_however_it_is_wrapped(wrap, zipped, tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(wrap(state()), path, _use_new_zipfile_serialization=zipped)
    same(read_weights(str(path)))


def test_nothing_and_folders_are_refused(tmp_path):
    with pytest.raises(ReadError, match=r"of weights must be there; got nothing\. Check the path"):
        read_weights(tmp_path / "weights.pth")
    with pytest.raises(ReadError, match="of weights must be there; got a folder"):
        read_weights(tmp_path)


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth", "older.pth"])
@pytest.mark.parametrize("kept", [0, 1, 9, 0.5, 0.95])
def test_damaged_files_are_refused_in_one_line(name, kept, tmp_path):
    path = tmp_path / name
    if path.suffix == ".safetensors":
        save_file(state(), path)
    else:
        torch.save(state(), path, _use_new_zipfile_serialization=name == "weights.pth")
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data)) if isinstance(kept, float) else kept])
    with pytest.raises(ReadError, match=r"a whole file of weights .*Fetch it again\.") as error:
        read_weights(path)
    assert "\n" not in str(error.value)


class Trap:
    """Would write a file when it is unpickled as pickle does."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_code_in_a_file_is_named_and_not_run(tmp_path):
    torch.save({"model": state(), "args": argparse.Namespace(lr=1)}, tmp_path / "weights.pth")
    with pytest.raises(ReadError, match=r"got code in it: argparse\.Namespace\. Save its state"):
        read_weights(tmp_path / "weights.pth")
    torch.save({"model": state(), "x": Trap(tmp_path / "sprung")}, tmp_path / "trap.pth")
    with pytest.raises(ReadError, match=r"got code in it: \S*open\. "):
        read_weights(tmp_path / "trap.pth")
    assert not (tmp_path / "sprung").exists()


def test_files_without_tensors_are_refused(tmp_path):
    for held in ({}, {"epoch": 3}, [1, 2], {"model": {}}):
        torch.save(held, tmp_path / "weights.pth")
        with pytest.raises(ReadError, match="got no tensors"):
            read_weights(tmp_path / "weights.pth")
