"""What all tests share: one thread each, reproducible examples, and real data where it is."""

import ctypes
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

# Two test processes on two cores must not each start a thread per core. Read when torch is loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")

REAL_DATA = Path(__file__).parents[2] / "shared" / "data"

settings.register_profile("convivo", deadline=None, derandomize=True)
settings.load_profile("convivo")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `data` are skipped where the real data sets are not beside the checkout."""
    if REAL_DATA.is_dir():
        return
    skip = pytest.mark.skip(reason=f"needs the real data sets in {REAL_DATA}")
    for item in items:
        if item.get_closest_marker("data"):
            item.add_marker(skip)


# OpenVINO's usage statistics are never loaded: a missing package is what it takes for a no.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]


class _SignalStack(ctypes.Structure):
    _fields_ = (("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


DISABLED = 2  # SS_DISABLE


@pytest.fixture(autouse=True)
def _signals_on_the_common_stack() -> None:
    """OpenVINO gives the process a stack for signal handlers and takes it back with its last model.

    The address stays behind: the next signal that Python handles would end the process.
    """
    if "openvino" in sys.modules and sys.platform == "linux":
        ctypes.CDLL(None).sigaltstack(ctypes.byref(_SignalStack(None, DISABLED, 0)), None)


@pytest.fixture(scope="session")
def openvino() -> ModuleType:
    return pytest.importorskip("openvino")
