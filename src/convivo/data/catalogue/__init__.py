"""Public data sets that `convivo get` knows by name: a literal registry."""

from convivo.data.catalogue import decathlon, medmnist, physionet
from convivo.data.catalogue.source import LICENCES, Source
from convivo.errors import UsageError, nearest_name

CATALOGUE: dict[str, Source] = {
    source.name: source for source in (*medmnist.SOURCES, *decathlon.SOURCES, *physionet.SOURCES)
}

__all__ = ["CATALOGUE", "LICENCES", "Source", "find"]


def find(name: str) -> Source:
    """The data set of that name; capitals do not matter.

    Raises:
        UsageError: none of that name.
    Example:
        >>> find("task04_hippocampus").file
        'Task04_Hippocampus.tar'
    """
    by_name = {known.lower(): source for known, source in CATALOGUE.items()}
    if name.lower() not in by_name:
        close = nearest_name(name, CATALOGUE).partition(" Known:")[0]
        remedy = f"{close} 'convivo get' lists all names"
        raise UsageError("get", "the name of a data set", repr(name), remedy)
    return by_name[name.lower()]
