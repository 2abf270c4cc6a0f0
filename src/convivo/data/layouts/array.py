"""A file, or a folder of images, volumes or arrays, without labels: for prediction only."""

from pathlib import Path

from convivo.data.layouts.image_mask import IMAGES
from convivo.data.layouts.listing import dimensions, folders, has_items, item_files
from convivo.data.readers import is_item, suffix_of
from convivo.data.sample import Index

NAME = "array"


def matches(root: Path) -> bool:
    """Whether the file is of a known format, or the folder (or its `images/`) holds such files."""
    if root.is_file():
        return suffix_of(root) is not None and is_item(root)
    return root.is_dir() and any(has_items(folder) for folder in _places(root))


def index(root: Path) -> Index:
    """No cases; every file is listed as unlabelled.

    Raises:
        ReadError: none of the files can be read.
    """
    files = [root] if root.is_file() else [p for f in _places(root) for p in item_files(f)]
    return Index(
        layout=NAME,
        root=root,
        task="classify",
        spatial_dims=dimensions(files),
        cases=(),
        unlabelled=tuple(str(path.absolute()) for path in files),
    )


def _places(root: Path) -> list[Path]:
    return [root, *(folder for folder in folders(root) if folder.name.lower() in IMAGES)]
