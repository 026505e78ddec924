"""What the tests of families share."""

from __future__ import annotations

from typing import Any

import numpy as np

from latentcore.arrays import CSR


def csr(dense: Any) -> Any:
    """The rows without their zeros, ``CSR``, which the types of families leave out."""
    rows, columns = np.nonzero(dense)
    begins = np.searchsorted(rows, np.arange(len(dense) + 1))
    return CSR(dense[rows, columns], columns.astype(np.int32), begins, dense.shape[1])
