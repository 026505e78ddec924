"""Models in files: ``.npz`` archives of plain arrays and a JSON header, without pickle.

A file that somebody else made is safe to load: members are stored uncompressed, so that what they declare can be
checked against the size of the file before anything is allocated; only known classes are made; every value is checked.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import stat
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from latentcore.errors import StorageError
from latentcore.estimators.base import Estimator, Stored
from latentcore.estimators.mixture import GaussianMixture

__all__ = ["load", "save"]

_FORMAT = "latentcore model"
_FORMAT_VERSION = 1
_CLASSES: dict[str, type[Estimator]] = {"GaussianMixture": GaussianMixture}
_DTYPES = (np.dtype(np.float64), np.dtype(np.float32), np.dtype(np.uint8))
_HEADER = "header"

AnyArray = npt.NDArray[np.generic]


def save(model: Estimator, path: str | os.PathLike[str]) -> None:
    """Write a model to ``path``; the file appears complete or not at all.

    Raises
    ------
    TypeError
        The model's class, or the value of a parameter, cannot be stored.
    ValueError
        Attributes were set by hand to what is no model.
    """
    from latentcore import __version__

    if _CLASSES.get(type(model).__name__) is not type(model):
        raise TypeError(f"model: expected one of {', '.join(_CLASSES)}, got {type(model).__name__}")
    stored = model._to_stored()
    arrays = {
        f"{part}/{name}": value
        for part, values in stored.items()
        for name, value in values.items()
        if isinstance(value, np.ndarray)
    }
    header = {
        "format": _FORMAT,
        "format_version": _FORMAT_VERSION,
        "library_version": __version__,
        "class": type(model).__name__,
        "dtypes": {name: array.dtype.str for name, array in arrays.items()},
        **{
            part: {
                name: value for name, value in values.items() if not isinstance(value, np.ndarray)
            }
            for part, values in stored.items()
        },
    }
    text = json.dumps(header, indent=1, allow_nan=False).encode()
    arrays = {_HEADER: np.frombuffer(text, np.uint8), **arrays}

    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(temporary, "xb") as file:
            _write(file, arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def load(path: str | os.PathLike[str]) -> Estimator:
    """The model that ``save`` wrote to ``path``.

    Raises
    ------
    StorageError
        The file is no saved model, is damaged, holds impossible values, or was made by a newer version.
    OSError
        The file cannot be read.
    """
    with open(path, "rb") as file:
        try:
            return _model(_read(file))
        except MemoryError:
            raise
        except Exception as error:  # whatever a damaged or hostile file makes its readers raise
            reason = " ".join(str(error).split())[:300]
            if not isinstance(error, StorageError):
                reason = f"expected a saved model, got a file that is none or is damaged ({reason})"
            raise StorageError(f"{os.fspath(path)}: {reason}") from None


def _model(members: dict[str, AnyArray]) -> Estimator:
    if _HEADER not in members:
        raise StorageError("expected a saved model, got an archive without a header")
    header = json.loads(members.pop(_HEADER).tobytes())
    if not isinstance(header, dict) or header.get("format") != _FORMAT:
        raise StorageError("expected a saved model, got a header of something else")
    version = header.get("format_version")
    if version != _FORMAT_VERSION:
        raise StorageError(
            f"expected format version {_FORMAT_VERSION}, got {version!r}; the file was made by "
            f"latentcore {header.get('library_version')!r}"
        )
    cls = _CLASSES.get(str(header.get("class")))
    if cls is None:
        raise StorageError(
            f"expected a model of class {', '.join(_CLASSES)}, got {header.get('class')!r}"
        )
    stored: Stored = {part: dict(header[part]) for part in ("params", "learned")}
    dtypes = header["dtypes"]
    if dtypes.keys() != members.keys():
        raise StorageError("expected the arrays that the header lists, got others")
    for key, array in members.items():
        part, _, name = key.partition("/")
        if array.dtype.str != dtypes[key]:
            raise StorageError(f"{key}: expected dtype {dtypes[key]}, got {array.dtype.str}")
        stored[part][name] = array
    return cls._from_stored(stored)


# -- archives --------------------------------------------------------------------------------------------------------


def _write(file: BinaryIO, arrays: Mapping[str, AnyArray]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            member = BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            archive.writestr(
                zipfile.ZipInfo(f"{name}.npy"), member.getvalue()
            )  # undated: same model, same bytes


def _read(file: BinaryIO) -> dict[str, AnyArray]:
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise StorageError("expected a regular file")
    with zipfile.ZipFile(file) as archive:
        infos = archive.infolist()
        if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
            raise StorageError("expected uncompressed members, got compressed ones")
        if sum(info.file_size for info in infos) > status.st_size:
            raise StorageError("expected members no larger than the file, got larger ones")
        names = [info.filename.removesuffix(".npy") for info in infos]
        if len(set(names)) < len(names):
            raise StorageError("expected members with different names, got one twice")
        return {
            name: _array(name, archive.read(info)) for name, info in zip(names, infos, strict=True)
        }


def _array(name: str, member: bytes) -> AnyArray:
    """The array of a ``.npy`` file, whose declared size is checked before anything of that size is made."""
    file = BytesIO(member)
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise StorageError(f"{name}: expected an array of npy version 1.0, got {version}")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype not in _DTYPES:
        raise StorageError(f"{name}: expected dtype float64, float32 or uint8, got {dtype}")
    found = len(member) - file.tell()
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != found:
        raise StorageError(f"{name}: expected {found} bytes of data, got shape {shape} of {dtype}")
    flat = np.frombuffer(member, dtype, offset=file.tell())
    return flat.reshape(shape, order="F" if fortran else "C").copy(order="C")
