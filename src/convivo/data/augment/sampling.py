"""Pictures taken at other places than their samples: linear for grey values, nearest for labels.

Places are planes (M, d, *S): in samples along each axis, the first axis first; beyond the border
they count as on it. Letters: M items, C channels, d axes of sizes *S.
"""

from math import prod

import torch
import torch.nn.functional as F

TALL = 2**16  # rows up to which a place between two of them is exact to 1 / 250 in float32


def interpolated(values: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Linear interpolation of (M, C, *S) float32."""
    shape = values.shape[2:]
    if len(shape) > 2 and values.device.type == "cpu" and prod(shape[:-1]) <= TALL:
        return _tall(values, places)
    grid = torch.empty((*places.shape[:1], *shape, len(shape)), device=values.device)
    for axis, size in enumerate(shape):  # the last axis first
        grid[..., len(shape) - 1 - axis] = _normalised(places[:, axis], size)
    return _sampled(values, grid)


def nearest(maps: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """The nearest sample of label maps (M, *S), halves to even, by one look-up of whole numbers."""
    # Places are numbered in float32 where that is exact: half the bytes, and no conversion.
    exact = maps[0].numel() < 2**24
    number = torch.zeros(maps.shape, device=maps.device, dtype=None if exact else torch.int64)
    for axis, size in enumerate(maps.shape[1:]):
        number.mul_(size).add_(places[:, axis].round().clamp_(0, size - 1).to(number.dtype))
    if len(maps) == 1 and exact:
        return maps.flatten().index_select(0, number.flatten().int()).view_as(maps)
    return maps.flatten(1).gather(1, number.flatten(1).long()).view_as(maps)


def voted(maps: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """The class of the largest share at each place, class after class; the lower of equals."""
    most = torch.zeros(maps.shape, device=maps.device)
    result = torch.zeros_like(maps)
    for value in maps.unique():
        share = interpolated((maps == value).unsqueeze(1).float(), places).squeeze(1)
        result.masked_fill_(share > most, int(value))
        most = torch.maximum(most, share, out=most)
    return result


def _tall(values: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """A volume as one tall picture of its slices: torch's kernel for pictures is twice as fast.

    A place is looked up in the slice before it and in the one after it, and lies between both:
    the next slices stand beside their own as further channels, so that one look-up finds both.
    """
    channels, (depth, rows, columns) = values.shape[1], values.shape[2:]
    z = places[:, 0].clamp(0, depth - 1)
    before = z.floor()
    between = z.sub_(before)
    row = torch.add(places[:, 1].clamp(0, rows - 1), before, alpha=rows)
    grid = torch.empty((len(values), depth * rows, columns, 2), device=values.device)
    grid[..., 0] = _normalised(places[:, 2], columns).view(grid.shape[:-1])
    grid[..., 1] = _normalised(row, depth * rows).view(grid.shape[:-1])
    del row, before
    found = _sampled(_with_next(values).view(len(values), -1, depth * rows, columns), grid)
    between = between.view(len(values), 1, depth * rows, columns)
    return torch.lerp(found[:, :channels], found[:, channels:], between).view(values.shape)


def _with_next(values: torch.Tensor) -> torch.Tensor:
    """(M, C, *S) -> (M, 2C, *S): the channels, and them one slice on; after the last, it again."""
    channels = values.shape[1]
    pair = values.new_empty((len(values), 2 * channels, *values.shape[2:]))
    pair[:, :channels] = values
    pair[:, channels:, :-1] = values[:, :, 1:]
    pair[:, channels:, -1] = values[:, :, -1]
    return pair


def _normalised(place: torch.Tensor, size: int) -> torch.Tensor:
    """Samples as `grid_sample` counts them, from -1 to 1 between the outer edges."""
    return torch.add(torch.tensor(1 / size - 1, device=place.device), place, alpha=2 / size)


def _sampled(values: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    return F.grid_sample(values, grid, mode="bilinear", padding_mode="border", align_corners=False)
