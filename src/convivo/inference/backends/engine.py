"""What every engine offers, and how one says that it cannot."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np

from convivo.errors import UsageError
from convivo.shortage import is_shortage


class Engine(Protocol):
    """A network with its task's decoding, ready to compute on arrays.

    name: as in `BACKENDS`. precision: "fp32" or "bf16", of the multiplications inside.
    """

    name: str
    precision: str

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """(n, C, *S) float32 -> answers (n, K, ...) float32, as `Predictor.answers` gives them.

        Raises:
            Unavailable: the network cannot be converted for such images.
        """
        ...


class Unavailable(UsageError):
    """A backend that cannot answer for this network: not convertible, or with other answers."""


def unavailable(name: str, got: object) -> Unavailable:
    """The error of an engine that does not do; `got` says why, in a line."""
    words = str(got).strip().splitlines()
    told = words[0] if words else type(got).__name__
    rule = f"{name} must give this network's answers"
    return Unavailable("--backend", rule, told, "Use --backend torch")


@contextmanager
def converting(name: str) -> Iterator[None]:
    """Whatever a library says of a network that it cannot take is `Unavailable`.

    What there is no memory for stays what it is: fewer items may do.
    """
    try:
        yield
    except Unavailable:
        raise
    except Exception as error:
        if is_shortage(error):
            raise
        raise unavailable(name, error) from error
