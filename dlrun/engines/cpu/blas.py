"""The matrix products of the BLAS that NumPy has loaded, by address."""

from __future__ import annotations

import ctypes
from functools import cache

# With 64-bit integers, as NumPy's own wheels have it under SciPy's prefix, and as others name it.
_SPELLINGS = ("scipy_cblas_{}gemm64_", "scipy_cblas_{}gemm_64_", "cblas_{}gemm64_", "cblas_{}gemm_64_")


@cache
def gemm_addresses() -> dict[str, int]:
    """Addresses of cblas_sgemm and cblas_dgemm; empty where the library cannot be called so."""
    import numpy as np
    from threadpoolctl import threadpool_info

    np.dot(np.ones((2, 2)), np.ones((2, 2)))  # makes sure that the library is loaded
    for pool in threadpool_info():
        if pool["user_api"] != "blas" or pool["internal_api"] != "openblas":
            continue
        try:
            library = ctypes.CDLL(pool["filepath"])
        except OSError:
            continue
        for spelling in _SPELLINGS:
            names = {f"cblas_{kind}gemm": spelling.format(kind) for kind in "sd"}
            if all(hasattr(library, name) for name in names.values()):
                return {
                    own: ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0 for own, name in names.items()
                }
    return {}
