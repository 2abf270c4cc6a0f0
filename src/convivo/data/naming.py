"""What files are called: which are taken for inputs, and how their label maps are named."""

from pathlib import Path

from convivo.data.file_words import outside_label_folders
from convivo.data.readers import LOSSY, SECOND_HALVES, format_of, reader_for, stem_of, suffix_of

TEXT = (".txt", ".tsv", ".csv")  # may be a README: read only where a layout says it is data


def map_name(name: str, path: Path, index: int | None) -> str:
    """What the label map of an input is called.

    Args:
        name: of the input among the outputs. path: its file. index: in a container.

    Example:
        >>> map_name("a/b.jpg", Path("b.jpg"), None)
        'a/b.png'
        >>> map_name("s.npz#2", Path("s.npz"), 2)
        's.npz#2.npy'
        >>> map_name("scan/3", Path("scan/3"), None)  # a DICOM series
        'scan/3.dcm'
    """
    if format_of(path) == "dicom":
        return name if name.lower().endswith(".dcm") else f"{name}.dcm"
    if index is not None:
        return f"{name}.npy"
    bare = Path(name)
    return (bare.with_suffix(".png") if bare.suffix.lower() in LOSSY else bare).as_posix()


def input_files(root: Path) -> list[Path]:
    """The files at any depth of a folder that are inputs, by their names and places.

    Those of a known format, folders that are one (Zarr) included; not text, second halves of
    others, hidden ones, and folders of labels beside others. Raises ReadError.
    """
    from convivo.data.readers.dicom.catalogue import visible_files  # only folders need DICOM

    files = list(visible_files(root))
    records = {(p.parent, stem_of(p)) for p in files if suffix_of(p) == ".hea"}
    return outside_label_folders((p for p in files if _is_input(p, records)), root)


def _is_input(path: Path, records: set[tuple[Path, str]]) -> bool:
    suffix = suffix_of(path)
    if suffix in (None, *TEXT, *SECOND_HALVES) or reader_for(path) is None:
        return False
    return suffix != ".mat" or (path.parent, stem_of(path)) not in records  # the signals of a .hea
