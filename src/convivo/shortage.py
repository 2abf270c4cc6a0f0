"""Whether an error says that memory ran out, whoever noticed it: Python, NumPy, torch, oneDNN."""

import errno

from convivo.errors import ConvivoError

SAID = (
    "can't allocate memory",  # torch's allocator
    "cannot allocate memory",  # the C library
    "could not create a primitive",  # oneDNN: its machine code and scratch pad
    "could not create a memory",
    "out of memory",  # accelerators
    "std::bad_alloc",
)


def is_shortage(error: BaseException) -> bool:
    """Whether less memory would have spared the error.

    Example:
        >>> is_shortage(MemoryError()), is_shortage(RuntimeError("shapes do not match"))
        (True, False)
    """
    if isinstance(error, ConvivoError):
        return False
    # of torch by its name: an exported folder asks as well, and has no torch
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if not isinstance(error, RuntimeError):
        return False
    text = str(error).lower()
    return any(words in text for words in SAID)
