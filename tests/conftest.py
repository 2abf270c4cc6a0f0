"""What all tests share: one thread each, reproducible examples, and real data where it is."""

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


@pytest.fixture(scope="session")
def openvino() -> ModuleType:
    """OpenVINO, its usage statistics never loaded: a missing package is what it takes for a no."""
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    return pytest.importorskip("openvino")
