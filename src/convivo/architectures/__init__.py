"""The networks by name: one file per paper, and this list. Reading it does not import torch.

A new network is a file with a builder, and one line here.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What is known of a network before it is built.

    build: "module:function" in this package; the function's keyword arguments beyond those of
    `create` are the network's own options. tasks: what its output serves. needs_input_size: it ends
    in layers whose size follows from the input's. counted: how `nets` builds it to count
    parameters, the setting of the published number where there is one.
    """

    build: str
    year: int
    paper: str
    tasks: tuple[str, ...]
    needs_input_size: bool = False
    counted: dict[str, int] = field(
        default_factory=lambda: {"in_channels": 3, "num_classes": 1000, "samples_per_axis": 224}
    )


def _resnet(layers: int) -> Architecture:
    paper = "He et al. 2016, Deep residual learning for image recognition, arXiv:1512.03385"
    return Architecture(build=f"resnet:resnet{layers}", year=2016, paper=paper, tasks=("classify",))


ARCHITECTURES: dict[str, Architecture] = {
    "mlp": Architecture(
        build="mlp:mlp",
        year=1986,
        paper="Rumelhart et al. 1986, Learning representations by back-propagating errors",
        tasks=("classify",),
        needs_input_size=True,
        counted={"in_channels": 1, "num_classes": 10, "samples_per_axis": 28},
    ),
    "lenet5": Architecture(
        build="lenet:lenet5",
        year=1998,
        paper="LeCun et al. 1998, Gradient-based learning applied to document recognition",
        tasks=("classify",),
        needs_input_size=True,
        counted={"in_channels": 1, "num_classes": 10, "samples_per_axis": 28},
    ),
    "resnet18": _resnet(18),
    "resnet34": _resnet(34),
    "resnet50": _resnet(50),
    "resnet101": _resnet(101),
    "resnet152": _resnet(152),
    "unet": Architecture(
        build="unet:unet",
        year=2015,
        paper="Ronneberger et al. 2015, U-Net, arXiv:1505.04597; in the padded, normalised form of "
        "Isensee et al. 2021, nnU-Net, arXiv:1809.10486",
        tasks=("segment",),
        counted={"in_channels": 1, "num_classes": 2, "samples_per_axis": 64},
    ),
}
