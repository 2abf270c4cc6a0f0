"""An exported module of the user: planned as itself, read without running or opening anything."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import convivo
from convivo.architectures.create import create
from convivo.errors import ReadError
from convivo.lab.architecture_costs import Question, planned
from convivo.lab.architecture_graph import graph
from convivo.lab.program_network import network
from convivo.lab.program_reader import read_program

from .pages import opened
from .running import Running, error_of


class Small(nn.Module):
    """A user's network: down, up, a skip, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8))
        self.second = nn.Conv2d(8, 8, 3, padding=1, stride=2)
        self.up = nn.ConvTranspose2d(8, 4, 2, 2)
        self.head = nn.Conv2d(12, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = torch.relu(self.first(x))
        b = self.up(torch.relu(self.second(a)))
        return self.head(torch.cat([a, b], 1))


def exported(net: nn.Module, shape: tuple[int, ...]) -> bytes:
    """A .pt2 file, for any even size."""
    n, half = torch.export.Dim("n"), [torch.export.Dim(f"h{a}") for a in range(len(shape) - 1)]
    free = ({0: n} | {a + 2: 2 * dim for a, dim in enumerate(half)},)
    program = torch.export.export(net.eval(), (torch.randn(2, *shape),), dynamic_shapes=free)
    file = io.BytesIO()
    torch.export.save(program, file)
    return file.getvalue()


def graph_of(file: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith("models/model.json")]
        return json.loads(archive.read(name))


@pytest.fixture(scope="module")
def small() -> bytes:
    return exported(Small(), (1, 16, 16))


def plain(name: str, shape: tuple[int, ...]) -> tuple[Any, nn.Module]:
    """One of our networks as somebody else's module, exported for this size alone."""
    net = create(name, spatial_dims=len(shape) - 1, in_channels=shape[0], num_classes=3)
    program = torch.export.export(net.eval(), (torch.randn(2, *shape),))
    file = io.BytesIO()
    torch.export.save(program, file)
    return graph_of(file.getvalue()), net


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("unet", (1, 16, 16)),
        ("unet", (1, 16, 16, 16)),
        ("resnet18", (3, 64)),
        ("segnet", (3, 32, 32)),
    ],
)
def test_a_program_is_drawn_and_counted_like_the_module(name: str, shape: tuple[int, ...]) -> None:
    document, net = plain(name, shape)
    seen, truth = graph(network(read_program(document)), shape), graph(net, shape)
    for field in ("parameters", "macs"):
        assert sum(node[field] for node in seen) == sum(node[field] for node in truth)
    loud = [[tuple(n["shape"]) for n in nodes if n["kind"] == "Conv"] for nodes in (seen, truth)]
    assert loud[0] == loud[1]
    if name == "unet":
        assert seen[-1]["field"] == truth[-1]["field"]
        assert sum(n["kind"] == "cat" for n in seen) == sum(n["kind"] == "cat" for n in truth)


KINDS = ("parameters", "outputs", "gradients", "losses", "optimizer", "operations")


def memories(file: bytes, path: Path, mode: str) -> tuple[dict[str, int], dict[str, int]]:
    """Of the program, and of the module itself."""
    path.write_text(json.dumps(graph_of(file)))
    asked = {"channels": 1, "size": (64, 48), "classes": 2, "batch": 3, "mode": mode}
    found = planned(Question(net="program", program=str(path), **asked))
    truth = convivo.plan(Small(), input=(1, 64, 48), batch=3, mode=mode, optimizer="momentum")
    assert found["parameters"] == truth.document()["parameters"]
    assert found["macs"] == truth.document()["macs"]
    assert found["question"]["program"] is True, "no path leaves the lab"
    return found["memory"], truth.document()["memory"]


def test_its_training_takes_the_memory_of_the_module(small: bytes, tmp_path: Path) -> None:
    found, truth = memories(small, tmp_path / "graph.json", "train")
    for kind in KINDS:
        # but for the counter of batches, which no call takes
        assert found[kind] == pytest.approx(truth[kind], abs=16), kind


def test_its_prediction_forgets_at_once(small: bytes, tmp_path: Path) -> None:
    """What a forward keeps in variables to its end is not in its graph."""
    found, truth = memories(small, tmp_path / "graph.json", "infer")
    assert 0.5 * truth["tensors_peak"] < found["tensors_peak"] <= truth["tensors_peak"]


def broken(document: Any, what: str) -> Any:
    copy = json.loads(json.dumps(document))
    nodes = copy["graph_module"]["graph"]["nodes"]
    if what == "system":
        nodes[0]["target"] = "os.system"
    elif what == "unknown":
        nodes[0]["target"] = "torch.ops.aten.from_file.default"
    elif what == "custom":
        nodes[0]["target"] = "torch.ops.mine.run.default"
    elif what == "many":
        copy["graph_module"]["graph"]["nodes"] = nodes * 5000
    elif what == "huge":
        value = copy["graph_module"]["graph"]["tensor_values"]["p_head_weight"]
        value["sizes"] = [{"as_int": 10**9}, {"as_int": 10**9}]
    elif what == "path":
        specs = copy["graph_module"]["signature"]["input_specs"]
        specs[0]["parameter"]["parameter_name"] = "../../etc"
    elif what == "nothing":
        copy["graph_module"] = {}
    return copy


WRONG = ["system", "unknown", "custom", "many", "huge", "path", "nothing"]


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_network_is_refused(small: bytes, what: str) -> None:
    with pytest.raises(ReadError, match="program"):
        read_program(broken(graph_of(small), what))


def put(lab: Running, body: bytes, name: str = "net.pt2") -> tuple[int, bytes]:
    status, _, answer = lab.raw("PUT", f"/api/v1/arch/programs?name={name}", lab.own(), body)
    return status, answer


def test_the_endpoint_takes_a_graph_and_nothing_else(lab: Running, small: bytes) -> None:
    status, body = put(lab, json.dumps(graph_of(small)).encode())
    card = json.loads(body)
    assert (status, card["channels"], card["size"], card["classes"]) == (201, 1, [16, 16], 2)
    asked = {
        "net": "program", "program": card["id"], "dims": 2, "channels": 1, "size": [32, 32],
        "classes": 2, "batch": 1, "mode": "infer", "precision": "fp32", "optimizer": "sgd",
    }  # fmt: skip
    status, body = lab.post("arch/plan", asked)
    assert status == 200
    assert json.loads(body)["parameters"] == card["parameters"]
    status, body = lab.post("arch/sizes", asked)
    assert {32, 64, 128} <= set(json.loads(body)["sizes"])
    status, body = lab.post("arch/plan", asked | {"program": "0" * 24})
    assert status == 404
    for wrong in (b"", b"[]", b"{", b"PK\x03\x04", small):
        status, body = put(lab, wrong)
        assert status in (413, 422)
        error_of(body)


def test_an_array_is_no_program(lab: Running) -> None:
    _, body = lab.post("open", {"sample": "ecg"})
    other = json.loads(body)["id"]
    assert lab.get(f"arch/programs/{other}")[0] == 404


def test_it_is_opened_in_the_page_and_its_weights_stay(
    lab: Running, browser: Any, small: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "small.pt2"
    file.write_bytes(small)
    sent = []
    with opened(browser, lab, "view=arch&net=lenet5") as page:
        page.wait_for(".arch[data-planned=true]", seconds=60)
        page.page.on("request", lambda r: sent.append(r.post_data_buffer or b""))
        page.page.set_input_files("input[type=file][accept='.pt2']", file)
        page.wait_for('.arch[data-planned="true"][data-net="program"]', seconds=60)
        count = sum(p.numel() for p in Small().parameters())
        assert f"{count:,}" in page.text(".arch-tiles")
        assert max(map(len, sent)) < len(small)
        assert not any(b"PK\x03\x04" in body for body in sent)
        page.page.wait_for_timeout(300)
        page.reload()
        page.wait_for('.arch[data-planned="true"][data-net="program"]', seconds=60)
        page.page.set_input_files(
            "input[type=file][accept='.pt2']",
            {"name": "x.pt2", "mimeType": "application/zip", "buffer": b"no archive"},
        )
        page.wait_for(".arch .error:has-text('no exported program')")
