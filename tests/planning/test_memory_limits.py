"""The memory a process may take: groups of either version, its own limits, the machine's."""

import subprocess
import sys
from pathlib import Path

import pytest

from convivo.planning.limits import MIB, limit_source, memory_limit, memory_limits

GIB = 2**30


def system(root: Path, cgroup: str, files: dict[str, str]) -> Path:
    """A /proc and /sys of our own."""
    files = files | {"proc/self/cgroup": cgroup, "proc/self/status": "VmSize:\t100 kB\n"}
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def of_groups(root: Path) -> list[int]:
    return [limit for name, limit in memory_limits(root) if name == "the memory group"]


def rounded(limit: int) -> int:
    return int(limit * 0.97) // (16 * MIB) * 16 * MIB


def test_groups_of_version_two_and_all_above_them(tmp_path: Path) -> None:
    files = {
        "sys/fs/cgroup/memory.max": "max\n",
        "sys/fs/cgroup/a/memory.max": f"{3 * GIB}\n",
        "sys/fs/cgroup/a/b/memory.max": f"{5 * GIB}\n",
        "sys/fs/cgroup/a/b/memory.high": f"{2 * GIB}\n",
        "sys/fs/cgroup/other/memory.max": "1\n",
    }
    found = of_groups(system(tmp_path, "0::/a/b\n", files))
    assert sorted(found) == sorted(rounded(n * GIB) for n in (2, 3, 5))


def test_groups_of_version_one_inside_a_container(tmp_path: Path) -> None:
    files = {
        "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{4 * GIB}\n",
        "sys/fs/cgroup/cpu/memory.limit_in_bytes": "1\n",
    }
    groups = "4:memory:/the/hosts/path\n3:cpu,cpuacct:/\n0::/\n"
    assert of_groups(system(tmp_path, groups, files)) == [rounded(4 * GIB)]


def test_a_group_without_a_limit_says_a_huge_number(tmp_path: Path) -> None:
    files = {"sys/fs/cgroup/memory/x/memory.limit_in_bytes": "9223372036854771712\n"}
    assert of_groups(system(tmp_path, "1:memory:/x\n", files)) == []
    assert of_groups(tmp_path / "nothing there") == []


def test_the_machines_own_memory_is_a_limit_that_does_not_change() -> None:
    limit = memory_limit()
    assert limit is not None
    assert limit == memory_limit()
    assert limit > 64 * MIB
    assert limit == min(n for _, n in memory_limits())
    assert limit_source() in {"the machine", "the memory group", "RLIMIT_AS", "RLIMIT_DATA"}


LIMITED = """
import resource, sys, torch
resource.setrlimit(resource.{name}, ({limit}, {limit}))
from convivo.planning.limits import memory_limit, limit_source
limit = memory_limit()
print(limit, limit_source())
def taken(count):
    try:
        return len(bytearray(count)) == count
    except MemoryError:
        return False
held = 300 * 2**20
print(taken(limit - held), taken({limit}))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="limits are told by /proc")
@pytest.mark.parametrize("name", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_a_limit_of_the_process_leaves_what_can_really_be_had(name: str) -> None:
    limit = 3 * GIB
    code = LIMITED.format(name=name, limit=limit)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    told, taken = run.stdout.splitlines()
    count, source = told.split()
    assert source == name
    assert 1 * GIB < int(count) < limit
    assert taken == "True False"
