"""Which processes are counted beside the one that trains."""

import subprocess
import sys

import pytest

SCRIPT = """
import os, subprocess, sys, time
from convivo.training.process_memory import children_of

program = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
copy = os.fork()
if copy == 0:
    time.sleep(60)
    os._exit(0)
deadline = time.monotonic() + 30
while list(children_of(os.getpid())) != [program.pid] and time.monotonic() < deadline:
    time.sleep(0.01)
print(list(children_of(os.getpid())) == [program.pid])
os.kill(copy, 9)
program.communicate(b"\\n")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux tells of processes")
def test_a_copy_that_is_about_to_become_a_program_is_not_counted_twice():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True"]
