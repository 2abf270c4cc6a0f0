"""What each tool foretells of the tensors of a case: ours, torchinfo, MemTracker, nnU-Net.

A function for each: (case) -> estimate, with everything made ready that the tool is given, so that
only the estimate itself is timed; the estimate gives bytes. Peers are imported inside.
"""

import re
from collections.abc import Callable

import torch
from ledger_tensors import build, loss_of

from convivo.architectures import ARCHITECTURES
from convivo.planning.ledger import ledger
from convivo.planning.rehearsal import rehearse
from convivo.planning.step import make_optimizer, training_step

GIB = 2**30
STEPS = 2  # what a tracker is shown: the first step makes the optimizer's state
# nnU-Net 2.8, experiment_planning/default_experiment_planner.py: elements of all feature maps of
# the network that fills 8 GB, and the batch with which it does, by spatial axes
NNUNET_REFERENCE = {2: (85_000_000, 12), 3: (560_000_000, 2)}
NNUNET_BYTES = 8 * GIB
Estimate = Callable[[], int]


def shape_of(case: dict) -> tuple[int, ...]:
    """(C, *S) of one input."""
    return (case["channels"], *(case["side"],) * case["dims"])


def by_ledger(case: dict) -> Estimate:
    """Ours."""
    with torch.device("meta"):
        net = build(case)
    words = {key: case[key] for key in ("mode", "precision", "optimizer")}
    task = ARCHITECTURES[case["net"]].tasks[0]
    loss = loss_of(case["net"])

    def estimate() -> int:
        trace = rehearse(net, shape_of(case), case["batch"], task=task, loss=loss, **words)
        return ledger(trace).tensors_peak

    return estimate


def by_torchinfo(case: dict) -> Estimate:
    """The "Estimated Total Size" that `torchinfo.summary` prints, in bytes."""
    from torchinfo import summary

    net = build(case)

    def estimate() -> int:
        told = summary(net, input_size=(case["batch"], *shape_of(case)), device="cpu", verbose=0)
        found = re.search(r"Estimated Total Size \(MB\): ([\d.]+)", str(told))
        if found is None:
            raise ValueError("torchinfo printed no total")
        return round(float(found[1]) * 1e6)

    return estimate


def by_mem_tracker(case: dict) -> Estimate:
    """torch's MemTracker over the steps that our own trace sees, on fake tensors as well."""
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.distributed._tools.mem_tracker import MemTracker

    mode, tracker = FakeTensorMode(), MemTracker()
    step = training_step(loss_of(case["net"]), case["precision"])
    maps = ARCHITECTURES[case["net"]].tasks[0] == "segment"
    with mode:
        net = build(case)
        optimizer = make_optimizer(case["optimizer"])(net)
        images = torch.empty(case["batch"], *shape_of(case))
        size = shape_of(case)[1:] if maps else ()
        targets = torch.empty(case["batch"], *size, dtype=torch.long)

    def estimate() -> int:
        with mode:
            tracker.track_external(net, optimizer, images, targets)
            with tracker:
                for _ in range(STEPS):
                    step(net, optimizer, (images, targets))
                    tracker.reset_mod_stats()
        return tracker.get_tracker_snapshot("peak")[torch.device("cpu")]["Total"]

    return estimate


def by_nnunet(case: dict) -> Estimate | None:
    """nnU-Net's rule, applied to the U-Net as it would build it; None where it plans none."""
    if case["net"] != "unet" or case["dims"] not in NNUNET_REFERENCE:
        return None
    from dynamic_network_architectures.architectures.unet import PlainConvUNet

    dims = case["dims"]
    conv, norm = {
        2: (torch.nn.Conv2d, torch.nn.InstanceNorm2d),
        3: (torch.nn.Conv3d, torch.nn.InstanceNorm3d),
    }[dims]

    def estimate() -> int:
        net = PlainConvUNet(
            input_channels=case["channels"],
            n_stages=4,
            features_per_stage=(32, 64, 128, 256),
            conv_op=conv,
            kernel_sizes=[(3,) * dims] * 4,
            strides=[(1,) * dims, *[(2,) * dims] * 3],
            n_conv_per_stage=2,
            num_classes=4,
            n_conv_per_stage_decoder=2,
            conv_bias=True,
            norm_op=norm,
            norm_op_kwargs={"eps": 1e-5, "affine": True},
            nonlin=torch.nn.LeakyReLU,
            nonlin_kwargs={"inplace": True},
        )
        elements = int(net.compute_conv_feature_map_size((case["side"],) * dims))
        return nnunet_bytes(elements, case["batch"], dims)

    return estimate


def nnunet_bytes(elements: int, batch: int, dims: int) -> int:
    """The memory that nnU-Net's planner expects of feature maps of so many elements an item."""
    reference, full = NNUNET_REFERENCE[dims]
    return round(elements / reference * NNUNET_BYTES * batch / full)


TOOLS = {
    "convivo": by_ledger,
    "torchinfo": by_torchinfo,
    "MemTracker": by_mem_tracker,
    "nnU-Net": by_nnunet,
}
