"""Saved models of all classes."""

from __future__ import annotations

import os

from latentcore import storage
from latentcore.errors import StorageError
from latentcore.estimators.mixture import GaussianMixture

__all__ = ["load"]

_CLASSES = {"GaussianMixture": GaussianMixture}


def load(path: str | os.PathLike[str]) -> GaussianMixture:
    """The model that ``save`` wrote to ``path``.

    Raises
    ------
    StorageError
        The file is no saved model, is damaged, holds impossible values, or was made by a newer
        version.
    OSError
        The file cannot be read.
    """
    name, stored = storage.read(path)
    try:
        if name not in _CLASSES:
            raise StorageError(f"expected a model of class {', '.join(_CLASSES)}, got {name!r}")
        return _CLASSES[name]._from_stored(stored)
    except Exception as error:  # values that no model has
        raise storage.unreadable(path, error) from None
