"""What the system tells of the processor."""

import platform
from collections.abc import Iterator
from pathlib import Path

import pytest

from convivo import processor


@pytest.fixture(autouse=True)
def _afresh() -> Iterator[None]:
    for asked in (processor._told, processor.processor_words):
        asked.cache_clear()
    yield
    for asked in (processor._told, processor.processor_words):
        asked.cache_clear()


def test_name_and_features_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "cpuinfo"
    told.write_text("model name\t: Some Processor 7\nflags\t\t: fpu avx2 amx_int8\n" * 2)
    monkeypatch.setattr(processor, "TELLS", told)
    assert processor.processor_name() == "Some Processor 7"
    assert {"avx2", "amx_int8"} <= processor.processor_words()


def test_where_nothing_is_told_python_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "TELLS", tmp_path / "none")
    assert processor.processor_name() == (platform.processor() or platform.machine())
    assert processor.processor_words() == frozenset()
