import json

import pytest
import torch

from convivo.architectures.create import create
from convivo.planning.document import plan_document

KEYS = (
    "schema net input batch mode precision optimizer parameters macs receptive_field "
    "memory peak_at seconds_per_step fits solution layers"
)
MEMORY = (
    "parameters outputs gradients losses optimizer operations "
    "tensors_peak overhead process_peak process_bound"
)


def document(**settings):
    with torch.device("meta"):
        net = create("resnet18", in_channels=3, num_classes=1000)
    return plan_document("resnet18", net, (3, 224, 224), 8, optimizer="momentum", **settings)


def test_document_has_the_keys_of_the_contract_and_plain_values():
    plan = json.loads(json.dumps(document(layers=True), allow_nan=False))
    assert " ".join(plan) == KEYS
    assert " ".join(plan["memory"]) == MEMORY
    assert plan["schema"] == 1
    assert plan["input"] == [3, 224, 224]
    assert plan["parameters"] == 11_689_512
    assert plan["macs"] == 8 * 1_814_073_344
    assert plan["receptive_field"] == [435, 435]
    assert plan["layers"][0]["type"] == "Conv"


KINDS = ("parameters", "outputs", "gradients", "losses", "optimizer", "operations")


def test_six_kinds_of_memory_add_up_to_the_peak_and_the_process_is_larger():
    plan = document()
    memory = plan["memory"]
    assert sum(memory[kind] for kind in KINDS) == memory["tensors_peak"] > 0
    assert memory["tensors_peak"] < memory["process_peak"] <= memory["process_bound"]
    assert plan["peak_at"]
    assert plan["fits"] is plan["solution"] is None
    assert "layers" not in plan


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_layers_tell_their_outputs_in_bytes(precision):
    rows = document(layers=True, precision=precision)["layers"]
    assert all(row["outputs"] is not None for row in rows)
