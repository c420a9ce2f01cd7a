"""The server's heap: few arenas, and large blocks that go back."""

from __future__ import annotations

import subprocess
import sys

import pytest

_THREADS = """
import ctypes, sys, threading
from webui.web.allocator import spare_memory
told = spare_memory() if sys.argv[1] == "spare" else None
all_here = threading.Barrier(12)
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
def work():
    all_here.wait()
    for _ in range(50):
        libc.malloc(2000)
    all_here.wait()
threads = [threading.Thread(target=work) for _ in range(12)]
for one in threads: one.start()
for one in threads: one.join()
libc.fopen.restype, libc.fopen.argtypes = ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_char_p]
out = libc.fopen(sys.argv[2].encode(), b"w")
libc.malloc_info.argtypes, libc.fclose.argtypes = [ctypes.c_int, ctypes.c_void_p], [ctypes.c_void_p]
libc.malloc_info(0, out)
libc.fclose(out)
print(told)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the options are glibc's")
def test_threads_share_few_heaps(tmp_path) -> None:
    heaps = {}
    for how in ("spare", "usual"):
        told = tmp_path / how
        run = subprocess.run(
            [sys.executable, "-c", _THREADS, how, str(told)], capture_output=True, text=True, check=True, timeout=60
        )
        heaps[how] = told.read_text().count("<heap nr=")
        assert run.stdout.strip() == ("True" if how == "spare" else "None")
    assert heaps["spare"] <= 2 < heaps["usual"], heaps
