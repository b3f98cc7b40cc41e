"""
The memory allocator of the embedded Valkey: mimalloc, preloaded, where it is installed and runs on this machine.

The packaged server allocates with the C library, whose allocator gets slower the more coupons are out: a claim with
10^7 of them out cost 2.3 times one with 10^4, and 1.15 times with mimalloc (docs/performance.md).
"""

import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

PACKAGE = "cmeel-mimalloc"
LIBRARY = "libmimalloc.so"
TRY_S_MAX = 10.0


def mimalloc() -> Path | None:
    """The library of the package; None where it is not installed."""
    try:
        found = [Path(str(file.locate())) for file in files(PACKAGE) or () if file.name == LIBRARY]
    except PackageNotFoundError:
        return None
    return found[0].resolve() if found and found[0].is_file() else None


@cache
def allocator_environment() -> dict[str, str]:
    """What makes a program started with it allocate with mimalloc; nothing where a program does not start with it."""
    library = mimalloc()
    if library is None:
        return {}
    environment = {"LD_PRELOAD": str(library)}
    try:  # another C library or an older processor: a server that does not start would be worse than a slower one
        tried = subprocess.run(["/bin/true"], env=environment, capture_output=True, timeout=TRY_S_MAX, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return environment if tried.returncode == 0 and not tried.stderr else {}
