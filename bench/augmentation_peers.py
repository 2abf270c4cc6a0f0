"""The augmentation of MONAI and TorchIO that corresponds to ours, change by change.

What a peer does not have it need not do: TorchIO has neither contrast around the mean nor
brightness.
"""

import math
import warnings

import numpy as np

warnings.filterwarnings("ignore")  # libraries' advice to programmers


def cached(images, targets, how, *, patch, batch, workers):
    """MONAI: CacheDataset of arrays (C, *S), patches where asked for, and a DataLoader.

    What can be done beforehand is in the cache: channels, types, the places of the foreground.
    """
    import monai.transforms as mt
    from monai.data import CacheDataset, DataLoader

    maps = patch is not None
    keys = ["image", "label"] if maps else ["image"]
    rows = [{"image": i, "label": t} for i, t in zip(images, targets, strict=True)]
    before, cut = [mt.ToTensord(keys, track_meta=False)], []
    if maps:
        before.append(mt.FgBgToIndicesd("label", fg_postfix="_fg", bg_postfix="_bg"))
        cut.append(
            mt.RandCropByPosNegLabeld(
                keys, "label", patch, pos=1, neg=1, num_samples=1,
                fg_indices_key="label_fg", bg_indices_key="label_bg",
            )
        )  # fmt: skip
        cut.append(mt.SelectItemsd(keys))
    chain = mt.Compose([*before, *cut, *monai_changes(how, patch or images[0].shape[1:], maps)])
    data = CacheDataset(rows, chain, progress=False, num_workers=0)
    more = {"persistent_workers": True} if workers else {}
    return DataLoader(data, batch_size=batch, shuffle=True, num_workers=workers, **more)


def monai_changes(how, shape, maps):
    """Our settings as MONAI's dictionary transforms."""
    import monai.transforms as mt

    keys, dims = (["image", "label"] if maps else ["image"]), len(shape)
    modes = {"mode": ["bilinear", "nearest"] if maps else "bilinear", "padding_mode": "border"}
    flips = [mt.RandFlipd(keys, prob=0.5, spatial_axis=axis) for axis in how.flip_axes]
    turn = {
        "rotate_range": (math.radians(how.rotate_deg),) * (3 if dims == 3 else 1),
        "translate_range": tuple(how.shift * n for n in shape),
        "scale_range": (how.scale,) * dims,
    }
    if how.p_elastic and dims == 3:  # bends and turns in one resampling, as ours
        move = mt.Rand3DElasticd(
            keys, sigma_range=(5, 8), magnitude_range=(50, 150), prob=how.p_elastic, **turn, **modes
        )
    elif how.p_elastic:
        move = mt.Rand2DElasticd(
            keys, spacing=(7, 7), magnitude_range=(0.5, 1.5), prob=how.p_elastic, **turn, **modes
        )
    else:
        move = mt.RandAffined(keys, prob=how.p_spatial, **turn, **modes)
    span = (1 / (1 + how.gamma), 1 + how.gamma)
    blur = {f"sigma_{axis}": (how.blur / 2, how.blur) for axis in "xyz"[:dims]}
    low = 1 / how.low_resolution
    grey = [
        mt.RandGaussianSmoothd("image", prob=how.p_blur, **blur),
        mt.RandSimulateLowResolutiond(
            "image",
            prob=how.p_low_resolution,
            zoom_range=(low, 1.0),
            upsample_mode="trilinear" if dims == 3 else "bilinear",
        ),
        mt.RandGaussianNoised("image", prob=how.p_noise, std=how.noise),
        mt.RandAdjustContrastd("image", prob=how.p_gamma, gamma=span),
        mt.RandScaleIntensityFixedMeand("image", prob=how.p_contrast, factors=how.contrast),
        mt.RandShiftIntensityd("image", prob=how.p_brightness, offsets=how.brightness),
    ]
    if how.p_bias:
        reach = math.log(1 + how.bias)
        grey.insert(2, mt.RandBiasFieldd("image", prob=how.p_bias, coeff_range=(0.0, reach / 4)))
    return [*flips, move, *grey]


def torchio_stream(images, targets, how, *, patch, batch):
    """TorchIO: batches without end; pictures are volumes of one slice, patches are cut first."""
    import torch
    import torchio as tio

    rng = np.random.default_rng(0)
    change = tio.Compose(torchio_changes(how, patch or images[0].shape[1:]))
    subjects = []
    for image, target in zip(images, targets, strict=True):
        parts = {"image": tio.ScalarImage(tensor=volume(image))}
        if patch is not None:
            parts["label"] = tio.LabelMap(tensor=volume(target))
        subjects.append(tio.Subject(parts))
    sampler = None if patch is None else tio.data.LabelSampler(patch, "label")

    def one():
        subject = subjects[int(rng.integers(len(subjects)))]
        if sampler is not None:
            subject = next(sampler(subject, 1))
        return change(subject)

    while True:
        items = [one() for _ in range(batch)]
        yield {
            name: torch.stack([item[name].data for item in items])
            for name in ("image", "label")
            if name in items[0]
        }


def torchio_changes(how, shape):
    """Our settings as TorchIO's transforms."""
    import torchio as tio

    flat = len(shape) == 2
    turn = (0, 0, 0, 0, -how.rotate_deg, how.rotate_deg) if flat else how.rotate_deg
    shifts = [how.shift * n for n in shape] + [0] * flat
    low, high = 1 / (1 + how.scale), 1 + how.scale
    scales = (low, high, low, high, 1, 1) if flat else (low, high)
    ranges = tuple(x for s in shifts for x in (-s, s))
    moves = [
        tio.RandomFlip(how.flip_axes, flip_probability=0.5),
        tio.RandomAffine(
            scales, turn, ranges, isotropic=not flat, default_pad_value="mean", p=how.p_spatial
        ),
    ]
    if how.p_elastic:
        reach = [0.4 * n / 4 for n in shape] + [0] * flat
        points = (7, 7, 5) if flat else 7
        moves.append(tio.RandomElasticDeformation(points, reach, p=how.p_elastic))
    if how.p_bias:
        moves.append(tio.RandomBiasField(0.1, p=how.p_bias))
    across = tuple(range(len(shape)))
    blur = (how.blur / 2, how.blur) * len(shape) + (0, 0) * flat
    return [
        *moves,
        tio.RandomBlur(blur, p=how.p_blur),
        tio.RandomAnisotropy(across, (1, how.low_resolution), p=how.p_low_resolution),
        tio.RandomNoise(0, (0, how.noise), p=how.p_noise),
        tio.RandomGamma(math.log(1 + how.gamma), p=how.p_gamma),
    ]


def volume(array):
    """(C, *S) -> tensor (C, X, Y, Z)."""
    import torch

    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor.unsqueeze(-1) if tensor.ndim == 3 else tensor


def monai_moved(values, places, mode):
    """MONAI's Resample of (C, *S) at our places (d, *S), which it counts from the centre."""
    import torch
    from monai.transforms import Resample

    centre = (torch.tensor(values.shape[1:]) - 1) / 2
    from_centre = places - centre.reshape(-1, *[1] * (places.ndim - 1))
    grid = torch.cat([from_centre, torch.ones_like(places[:1])])
    return Resample(mode=mode, padding_mode="border")(values, grid=grid).as_tensor()
