"""Graphs and costs of networks: every printed sum is right, and all is what `convivo plan` says."""

import re
from math import prod

import pytest

import convivo
from convivo.architectures import ARCHITECTURES
from convivo.errors import ConvivoError
from convivo.lab.architecture_costs import Question, costs, planned, point
from convivo.lab.architecture_graph import graph
from convivo.lab.architecture_sizes import STOPS, legal_sizes

SUM = re.compile(r"([\d*+]+) = ([\d,]+)")
LENET = Question(net="lenet5", channels=1, size=(28, 28), classes=10)
UNET = Question(net="unet_2015", channels=1, size=(572, 572), classes=2)


def usual(name: str, dims: int) -> Question:
    counted = ARCHITECTURES[name].counted
    size = (counted["samples_per_axis"],) * dims
    channels, classes = counted["in_channels"], counted["num_classes"]
    return Question(net=name, channels=channels, size=size, classes=classes)


def evaluated(text: str) -> int:
    """The left side of a printed sum, after it was compared with the right one."""
    found = SUM.fullmatch(text)
    assert found, text
    value = sum(prod(map(int, term.split("*"))) for term in found[1].split("+"))
    assert value == int(found[2].replace(",", "")), text
    return value


def check_graph(name: str, dims: int) -> None:
    question = usual(name, dims)
    net = question.network()
    nodes = graph(net, question.shape)
    assert sum(node["parameters"] for node in nodes) == sum(p.numel() for p in net.parameters())
    written = {"parameters": 0, "macs": 0}
    for i, node in enumerate(nodes):
        assert node["id"] == i
        assert all(-1 <= s < i for s in node["sources"]), "lines go forwards"
        for field in written:
            text = node[f"{field}_sum"]
            assert bool(text) == bool(node[field])
            if text and "=" in text:
                assert evaluated(text) == node[field]
                written[field] += node[field]
            elif text:
                assert int(text.replace(",", "")) == node[field]
    total = sum(node["macs"] for node in nodes)
    share = 0.4 if name == "lenet5_1998" else 0.9  # the connection table of its C3 is no product
    assert written["macs"] > share * total


DEEP = ("densenet161", "densenet169", "densenet201", "resnet101", "resnet152", "resnext101_32x8d")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in DEEP else n for n in ARCHITECTURES]
)
def test_every_network_is_a_graph_with_all_its_parameters(name: str) -> None:
    check_graph(name, 2)


@pytest.mark.slow
@pytest.mark.parametrize("dims", [1, 3])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_so_is_every_network_in_one_and_three_dimensions(name: str, dims: int) -> None:
    check_graph(name, dims)


def test_lenet_by_hand() -> None:
    nodes = {node["name"]: node for node in planned(LENET)["nodes"]}
    assert nodes["c1"]["parameters_sum"] == "5*5*1*6+6 = 156"
    assert nodes["c3"]["parameters_sum"] == "5*5*6*16+16 = 2,416"
    assert nodes["c3"]["macs_sum"] == "10*10*5*5*6*16 = 240,000"
    assert nodes["c3"]["kept_sums"] == ["1*16*10*10*4 = 6,400"]
    assert nodes["s4"]["field"] == {"size": [16, 16], "jump": [4, 4], "start": [-2, -2]}
    assert sum(node["parameters"] for node in nodes.values()) == 61_706


def test_unet_as_published() -> None:
    found = planned(UNET)
    deepest = next(node for node in found["nodes"] if node["name"] == "encoder.4.2")
    assert found["parameters"] == 31_030_658
    assert deepest["shape"] == [1024, 28, 28]
    assert deepest["field"] == {"size": [140, 140], "jump": [16, 16], "start": [0, 0]}
    assert found["nodes"][-1]["shape"] == [2, 388, 388]
    crossing = [n for n in found["nodes"] if n["kind"] == "cat"]
    assert [len(node["sources"]) for node in crossing] == [2] * 4


ASKED = [
    LENET,
    Question(net="lenet5", channels=1, size=(28,), classes=3, batch=7, mode="infer"),
    UNET,
    Question(net="unet", channels=2, size=(32, 48, 64), classes=3, batch=2, precision="bf16"),
    Question(net="resnet18", channels=3, size=(224, 224), classes=1000, batch=8),
    Question(net="resnet18", channels=1, size=(1000,), classes=2, batch=4, optimizer="adamw"),
    Question(net="vae", channels=1, size=(28, 28), classes=10, batch=3, optimizer="sgd"),
    Question(net="dcgan", channels=3, size=(64, 64), classes=2, batch=4),
    Question(
        net="mlp", channels=1, size=(200, 200), classes=1, options=(("hidden", (1000,)),)
    ),
]  # fmt: skip


@pytest.mark.parametrize("question", ASKED, ids=lambda q: f"{q.net}-{len(q.size)}d-{q.mode}")
def test_bytes_are_those_of_convivo_plan(question: Question) -> None:
    found, q = planned(question), question
    settings = [f"net.{name}={list(value)}" for name, value in q.options]
    truth = convivo.plan(
        net=q.net, input=q.shape, batch=q.batch, mode=q.mode, optimizer=q.optimizer,
        classes=q.classes, precision=q.precision, settings=settings,
    ).document()  # fmt: skip
    assert found["memory"] == {name: truth["memory"][name] for name in found["memory"]}
    for name in ("parameters", "receptive_field", "peak_at"):
        assert found[name] == truth[name]
    if q.net != "dcgan":  # plan counts the half that is called
        assert found["macs"] == truth["macs"]
    assert found["seconds_per_step"] == pytest.approx(truth["seconds_per_step"])


@pytest.mark.parametrize("question", ASKED, ids=lambda q: f"{q.net}-{len(q.size)}d-{q.mode}")
def test_rows_and_timeline_add_up_to_the_peak(question: Question) -> None:
    found = planned(question)
    for kind in ("parameters", "outputs", "gradients", "losses", "optimizer", "operations"):
        assert sum(row["bytes"][kind] for row in found["rows"]) == found["memory"][kind]
    columns = found["timeline"]["bytes"].values()
    peak = found["timeline"]["peak"]
    assert sum(column[peak] for column in columns) == found["memory"]["tensors_peak"]
    held = costs(question, question.network()).held
    kept = sum(h.bytes for own in held.outputs.values() for h in own)
    whole = sum(node["kept"] for node in found["nodes"])
    assert whole <= kept < 1.3 * whole + 2048  # a whole network's own tensors have no box
    for node in found["nodes"]:
        sums = [text for text in node["kept_sums"] if "=" in text]
        plain = [int(t.replace(",", "")) for t in node["kept_sums"] if "=" not in t]
        assert sum(map(evaluated, sums)) + sum(plain) == node["kept"]


def test_a_point_of_the_curve_is_the_plan_of_that_size() -> None:
    found = point(UNET, (700, 700))
    truth = planned(Question(**(vars(UNET) | {"size": (700, 700)})))
    assert found["memory"] == truth["memory"]
    refused = point(UNET, (573, 573))
    assert "572" in refused["refused"]


@pytest.mark.parametrize(
    ("name", "dims"), [("unet", 3), ("unet_2015", 2), ("lenet5", 2), ("dcgan", 2), ("vgg16", 1)]
)
def test_the_slider_stops_at_sizes_that_the_network_takes(name: str, dims: int) -> None:
    question = usual(name, dims)
    found = legal_sizes(question)
    sizes = found["sizes"]
    assert 2 < len(sizes) <= STOPS
    assert sizes == sorted(set(sizes))
    assert question.size[0] in sizes
    for n in (sizes[0], sizes[1], sizes[len(sizes) // 2]):
        asked = Question(**(vars(question) | {"size": (n,) * dims}))
        assert graph(asked.network(), asked.shape)
    below = Question(**(vars(question) | {"size": (sizes[0] - 1,) * dims}))
    with pytest.raises(ConvivoError):
        graph(below.network(), below.shape)
