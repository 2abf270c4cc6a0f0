"""The networks by name: one file per paper, and this list. Reading it does not import torch.

A new network is a file with a builder, and one line here.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What is known of a network before it is built.

    build: "module:function" in this package; the function's keyword arguments beyond those of
    `create` are the network's own options. tasks: what its output serves. needs_input_size: it ends
    in layers whose size follows from the input's. first_channels: of its first stage at width 1.
    counted: how `nets` builds it to count parameters, the setting of the published number where
    there is one.
    """

    build: str
    year: int
    paper: str
    tasks: tuple[str, ...]
    needs_input_size: bool = False
    first_channels: int = 64
    counted: dict[str, int] = field(
        default_factory=lambda: {"in_channels": 3, "num_classes": 1000, "samples_per_axis": 224}
    )


SMALL = {"in_channels": 1, "num_classes": 10, "samples_per_axis": 28}
MAPS = {"in_channels": 3, "num_classes": 21, "samples_per_axis": 224}

ONE_ANSWER = ("classify", "regress")  # K numbers an item: of classes, or a single one

LENET = "LeCun et al. 1998, Gradient-based learning applied to document recognition"
ALEXNET = (
    "Krizhevsky et al. 2012, ImageNet classification with deep convolutional neural networks; one "
    "tower: Krizhevsky 2014, arXiv:1404.5997"
)
VGG = "Simonyan & Zisserman 2015, Very deep convolutional networks, arXiv:1409.1556"
RESNET = "He et al. 2016, Deep residual learning for image recognition, arXiv:1512.03385"
RESNEXT = "Xie et al. 2017, Aggregated residual transformations, arXiv:1611.05431"
DENSENET = "Huang et al. 2017, Densely connected convolutional networks, arXiv:1608.06993"
FCN = "Long et al. 2015, Fully convolutional networks for segmentation, arXiv:1411.4038"
UNET = "Ronneberger et al. 2015, U-Net, arXiv:1505.04597"


def _classifier(build: str, year: int, paper: str) -> Architecture:
    return Architecture(build=build, year=year, paper=paper, tasks=ONE_ANSWER)


ARCHITECTURES: dict[str, Architecture] = {
    "mlp": Architecture(
        build="mlp:mlp",
        year=1986,
        paper="Rumelhart et al. 1986, Learning representations by back-propagating errors",
        first_channels=1,
        tasks=ONE_ANSWER,
        needs_input_size=True,
        counted=SMALL,
    ),
    "lenet5": Architecture(
        build="lenet:lenet5",
        year=1998,
        paper=LENET,
        first_channels=6,
        tasks=ONE_ANSWER,
        needs_input_size=True,
        counted=SMALL,
    ),
    "lenet5_1998": Architecture(
        build="lenet_1998:lenet5_1998",
        year=1998,
        paper=LENET,
        first_channels=6,
        tasks=ONE_ANSWER,
        needs_input_size=True,
        counted=SMALL | {"samples_per_axis": 32},
    ),
    "alexnet": _classifier("alexnet:alexnet", 2012, ALEXNET),
    "vgg11": _classifier("vgg:vgg11", 2015, VGG),
    "vgg11_bn": _classifier("vgg:vgg11_bn", 2015, VGG),
    "vgg13": _classifier("vgg:vgg13", 2015, VGG),
    "vgg13_bn": _classifier("vgg:vgg13_bn", 2015, VGG),
    "vgg16": _classifier("vgg:vgg16", 2015, VGG),
    "vgg16_bn": _classifier("vgg:vgg16_bn", 2015, VGG),
    "vgg19": _classifier("vgg:vgg19", 2015, VGG),
    "vgg19_bn": _classifier("vgg:vgg19_bn", 2015, VGG),
    "googlenet": _classifier(
        "googlenet:googlenet",
        2015,
        "Szegedy et al. 2015, Going deeper with convolutions, arXiv:1409.4842; with batch norm: "
        "Ioffe & Szegedy 2015, arXiv:1502.03167",
    ),
    "resnet18": _classifier("resnet:resnet18", 2016, RESNET),
    "resnet34": _classifier("resnet:resnet34", 2016, RESNET),
    "resnet50": _classifier("resnet:resnet50", 2016, RESNET),
    "resnet101": _classifier("resnet:resnet101", 2016, RESNET),
    "resnet152": _classifier("resnet:resnet152", 2016, RESNET),
    "resnext50_32x4d": _classifier("resnext:resnext50_32x4d", 2017, RESNEXT),
    "resnext101_32x8d": _classifier("resnext:resnext101_32x8d", 2017, RESNEXT),
    "densenet121": _classifier("densenet:densenet121", 2017, DENSENET),
    "densenet161": _classifier("densenet:densenet161", 2017, DENSENET),
    "densenet169": _classifier("densenet:densenet169", 2017, DENSENET),
    "densenet201": _classifier("densenet:densenet201", 2017, DENSENET),
    "fcn32s": Architecture(
        build="fcn:fcn32s", year=2015, paper=FCN, tasks=("segment",), counted=MAPS
    ),
    "fcn16s": Architecture(
        build="fcn:fcn16s", year=2015, paper=FCN, tasks=("segment",), counted=MAPS
    ),
    "fcn8s": Architecture(
        build="fcn:fcn8s", year=2015, paper=FCN, tasks=("segment",), counted=MAPS
    ),
    "segnet": Architecture(
        build="segnet:segnet",
        year=2017,
        paper="Badrinarayanan et al. 2017, SegNet, arXiv:1511.00561",
        tasks=("segment",),
        counted=MAPS | {"num_classes": 11},
    ),
    "unet": Architecture(
        build="unet:unet",
        year=2015,
        paper=f"{UNET}; in the padded, normalised form of Isensee et al. 2021, nnU-Net, "
        "arXiv:1809.10486",
        first_channels=32,
        tasks=("segment",),
        counted={"in_channels": 1, "num_classes": 2, "samples_per_axis": 64},
    ),
    "unet_2015": Architecture(
        build="unet_2015:unet_2015",
        year=2015,
        paper=UNET,
        tasks=("segment",),
        counted={"in_channels": 1, "num_classes": 2, "samples_per_axis": 572},
    ),
    "autoencoder": Architecture(
        build="autoencoder:autoencoder",
        year=2006,
        paper="Hinton & Salakhutdinov 2006, Reducing the dimensionality of data with neural "
        "networks; denoising: Vincent et al. 2008; convolutional: Masci et al. 2011",
        first_channels=32,
        tasks=("reconstruct",),
        needs_input_size=True,
        counted=SMALL,
    ),
    "vae": Architecture(
        build="vae:vae",
        year=2014,
        paper="Kingma & Welling 2014, Auto-encoding variational Bayes, arXiv:1312.6114",
        first_channels=32,
        tasks=("reconstruct",),
        needs_input_size=True,
        counted=SMALL,
    ),
    "dcgan": Architecture(
        build="dcgan:dcgan",
        year=2016,
        paper="Radford et al. 2016, Unsupervised representation learning with deep convolutional "
        "generative adversarial networks, arXiv:1511.06434",
        tasks=("generate",),
        needs_input_size=True,
        counted={"in_channels": 3, "num_classes": 2, "samples_per_axis": 64},
    ),
}
