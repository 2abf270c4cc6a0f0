"""TIFF and OME-TIFF through tifffile (extra `tiff`), or Pillow where that is not installed.

The first series of a file is its item: pages are the slices of a volume, samples and the axis C
its channels. Spacing is that of OME or ImageJ (`tiff_scales`), else None.
"""

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageSequence

from convivo.data.readers import images
from convivo.data.readers.failures import missing_extra, truncated
from convivo.data.readers.labels import check_grid, smallest_unsigned
from convivo.data.readers.tiff_scales import scales_mm
from convivo.data.readers.writing import whole
from convivo.data.sample import Header, Raw
from convivo.errors import ReadError

if TYPE_CHECKING:
    import tifffile

SUFFIXES = (".tif", ".tiff")
RGB, PALETTE = 2, 3  # the tag PhotometricInterpretation
DEPTH = "ZQIT"  # slices; files of unnamed pages call them Q or I, ImageJ may call them T


def header(path: Path, index: int | None = None) -> Header:
    """Shape (rows, columns) or (pages, rows, columns), channels, dtype. Raises ReadError."""
    if not _has_tifffile():
        return pillow_read(path).header
    with _tifffile().TiffFile(path) as file:
        return _placed(_header(path, _first_series(path, file)), file)


def read(path: Path, index: int | None = None) -> Raw:
    """The first series as (C, rows, columns) or (C, pages, rows, columns).

    Raises:
        ReadError: a damaged or truncated file, several images in one file, axes without a meaning.
        UsageError: a compression that needs the extra `tiff`.
    """
    if not _has_tifffile():
        return pillow_read(path)
    with _tifffile().TiffFile(path) as file:
        series = _first_series(path, file)
        head = _placed(_header(path, series), file)
        _check_pages(path, series)
        array = _decoded(path, series)
        array = _by_palette(array, series) if _is_palette(series) else array
    array = _channels_first(array, _letters(series), head)
    return Raw(array=array.astype(np.uint8) if array.dtype.kind == "b" else array, header=head)


def read_labels(path: Path, index: int | None = None) -> np.ndarray:
    """The class values as stored, (rows, columns) or (pages, rows, columns). Raises ReadError."""
    from convivo.data.readers.labels import as_label_map

    if not _has_tifffile():
        return as_label_map(pillow_read(path).array, path)
    with _tifffile().TiffFile(path) as file:
        series = _first_series(path, file)
        if not _is_palette(series):
            return as_label_map(read(path).array, path)
        _check_pages(path, series)
        return as_label_map(_decoded(path, series)[np.newaxis], path)


def write_labels(path: Path, labels: np.ndarray, *, like: Path) -> Path:
    """Save a map as TIFF of 8 or 16 bits with the pages, rows, columns and resolution of `like`.

    Raises:
        ShapeError: another shape than `like`. DataError: values outside 0 ... 65535.
    """
    check_grid(labels, header(like).shape, like)
    array = smallest_unsigned(labels, path)
    with whole(path) as temporary:
        if _has_tifffile():
            axes = "ZYX"[-array.ndim :]
            options = {"metadata": {"axes": axes}, "compression": "zlib", **_resolution(like)}
            _tifffile().imwrite(temporary, array, photometric="minisblack", **options)
        else:
            pages = [Image.fromarray(p) for p in array.reshape(-1, *array.shape[-2:])]
            pages[0].save(temporary, format="TIFF", save_all=True, append_images=pages[1:])
    return path


def pillow_read(path: Path) -> Raw:
    """The pages of a simple TIFF without tifffile; pages unlike the first are left out."""
    with Image.open(path, formats=("TIFF",)) as image:
        channels, dtype = images.mode_of(image, path)
        kind = (image.mode, image.size)
        pages = [images.pixels(p) for p in ImageSequence.Iterator(image) if kind == _kind(p)]
    array = pages[0] if len(pages) == 1 else np.stack(pages, axis=1)
    shape, axes = array.shape[1:], "ZYX"[-(array.ndim - 1) :]
    return Raw(array=array, header=Header(shape=shape, channels=channels, dtype=dtype, axes=axes))


def _kind(page: Image.Image) -> tuple[str, tuple[int, int]]:
    return page.mode, page.size


def _has_tifffile() -> bool:
    from importlib.util import find_spec

    return find_spec("tifffile") is not None


def _tifffile() -> Any:
    import tifffile

    # its complaints about damaged files would stand beside our one message
    logger = logging.getLogger("tifffile")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return tifffile


def _first_series(path: Path, file: "tifffile.TiffFile") -> "tifffile.TiffPageSeries":
    if not file.series:
        raise ReadError(path, "a TIFF holds an image", "no pages", "Replace the file")
    first = file.series[0]
    twins = [s for s in file.series if (s.shape, s.dtype) == (first.shape, first.dtype)]
    if len(twins) > 1:  # other series, of another shape, are thumbnails and labels of the slide
        remedy = "Save each series as a file"
        raise ReadError(path, "a file holds one image", f"{len(twins)} series alike", remedy)
    return first


def _letters(series: "tifffile.TiffPageSeries") -> tuple[str, tuple[int, ...]]:
    """Axis letters and sizes without axes of length one (rows and columns stay)."""
    kept = [
        (letter, int(size))
        for letter, size in zip(series.axes, series.shape, strict=True)
        if size != 1 or letter in "YX"
    ]
    return "".join(letter for letter, _ in kept), tuple(size for _, size in kept)


def _header(path: Path, series: "tifffile.TiffPageSeries") -> Header:
    letters, sizes = _letters(series)
    of = dict(zip(letters, sizes, strict=True))
    depth = [letter for letter in letters if letter in DEPTH]
    colour = [letter for letter in letters if letter in "SC"]
    if set(letters) - set("YXSC" + DEPTH) or len(depth) > 1 or len(colour) > 1:
        rule = "the axes of a TIFF are rows, columns, at most one of pages and one of channels"
        raise ReadError(path, rule, f"{letters} {sizes}", "Save one image or stack per file")
    if not {"Y", "X"} <= set(letters) or series.dtype.kind not in "biuf":
        rule = "a TIFF holds rows and columns of real numbers"
        raise ReadError(path, rule, f"{letters} {sizes} {series.dtype}", "Convert the file")
    dtype = np.dtype(np.uint8) if series.dtype.kind == "b" else series.dtype
    return Header(
        shape=tuple(of[letter] for letter in (*depth, "Y", "X")),
        channels=3 if _is_palette(series) else _data_channels(series, of, colour),
        dtype="uint8" if _is_palette(series) else dtype.newbyteorder("=").name,
        axes="ZYX" if depth else "YX",
    )


def _placed(head: Header, file: "tifffile.TiffFile") -> Header:
    """The header with the spacing that the file states."""
    scales = scales_mm(file, head.axes)
    return head if scales is None else replace(head, spacing=scales, spacing_unit="mm")


def _data_channels(series: "tifffile.TiffPageSeries", of: dict[str, int], colour: list[str]) -> int:
    """Channels without transparency, which is the last sample where the file declares it."""
    if not colour:
        return 1
    extra = tuple(int(e) for e in series.keyframe.extrasamples)
    transparent = colour == ["S"] and bool(extra) and extra[-1] in (1, 2)
    # an RGB image with a fourth sample means transparency even where the file does not say so
    transparent |= colour == ["S"] and of["S"] == 4 and int(series.keyframe.photometric) == RGB
    return of[colour[0]] - transparent


def _channels_first(
    array: np.ndarray, letters: tuple[str, tuple[int, ...]], head: Header
) -> np.ndarray:
    names, sizes = letters
    if array.ndim == len(names) + 1 and array.shape[-1] == 3:  # colours of a palette
        names, sizes = names + "S", (*sizes, 3)
    array = array.reshape(sizes)
    order = sorted(range(len(names)), key=lambda i: ("SC" + DEPTH + "YX").index(names[i]))
    array = array.transpose(order)
    if not set(names) & set("SC"):
        array = array[np.newaxis]
    return np.ascontiguousarray(array[: head.channels])


def _check_pages(path: Path, series: "tifffile.TiffPageSeries") -> None:
    """tifffile fills what is missing with zeros; a half-read image must not pass."""
    held = path.stat().st_size
    for page in series.pages:
        if page is None:
            raise truncated(path, "a page that is missing")
        ends = [o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=False)]
        if ends and max(ends) > held:
            raise truncated(path, f"{held} bytes where pixels reach to byte {max(ends)}")


def _decoded(path: Path, series: "tifffile.TiffPageSeries") -> np.ndarray:
    try:
        return series.asarray()
    except ValueError as error:
        if "imagecodecs" in str(error):
            raise missing_extra("imagecodecs", "tiff", f"{path} (compressed TIFF)") from error
        raise


def _is_palette(series: "tifffile.TiffPageSeries") -> bool:
    return int(series.keyframe.photometric) == PALETTE


def _by_palette(array: np.ndarray, series: "tifffile.TiffPageSeries") -> np.ndarray:
    colours = np.asarray(series.keyframe.colormap)  # (3, 2^bits) of 16 bits
    return (colours.T >> 8).astype(np.uint8)[array]


def _resolution(like: Path) -> dict[str, Any]:
    if like.suffix.lower() not in SUFFIXES:
        return {}
    with _tifffile().TiffFile(like) as file:
        tags = file.pages[0].tags
        if "XResolution" not in tags or "YResolution" not in tags:
            return {}
        unit = tags["ResolutionUnit"].value if "ResolutionUnit" in tags else None
        pair = (tags["XResolution"].value, tags["YResolution"].value)
    return {"resolution": pair, "resolutionunit": unit}
