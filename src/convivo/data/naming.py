"""What files are called: which are taken for inputs, and how their label maps are named."""

from pathlib import Path

from convivo.data.readers import format_of

TEXT = (".txt", ".tsv")  # may be a README: read only where a layout says it is data
LOSSY = (".jpg", ".jpeg", ".bmp")  # change or waste values: their label maps are PNG files


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
