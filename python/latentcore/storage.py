"""Models in files: ``.npz`` archives of plain arrays and a JSON header, without pickle.

A file that somebody else made is safe to read: members are stored uncompressed, so that what they
declare can be checked against the size of the file before anything is allocated.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import stat
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from latentcore._core import version
from latentcore.errors import StorageError

__all__ = ["Stored", "annotate", "notes", "read", "replacing", "unreadable", "write"]

Stored = dict[str, dict[str, Any]]
"""``params`` and ``learned`` of a model: JSON values and arrays, by name."""

AnyArray = npt.NDArray[Any]

_FORMAT = "latentcore model"
_FORMAT_VERSION = 1
_PARTS = ("params", "learned")
_DTYPES = (np.dtype(np.float64), np.dtype(np.float32), np.dtype(np.uint8))
_HEADER = "header"


def write(path: str | os.PathLike[str], class_name: str, stored: Stored) -> None:
    """Write a model to ``path``; the file appears complete or not at all.

    Parameters
    ----------
    class_name : str
        For ``read`` to give back.
    stored : dict
        JSON values and arrays of float64, float32 or uint8.
    """
    header: dict[str, Any] = {
        "format": _FORMAT,
        "format_version": _FORMAT_VERSION,
        "library_version": version(),
        "class": class_name,
    }
    arrays: dict[str, AnyArray] = {}
    for part in _PARTS:
        values = stored[part]
        header[part] = {name: v for name, v in values.items() if not isinstance(v, np.ndarray)}
        arrays |= {f"{part}/{name}": v for name, v in values.items() if isinstance(v, np.ndarray)}
    header["dtypes"] = {name: array.dtype.str for name, array in arrays.items()}
    _replace(Path(path), header, arrays)


def annotate(path: str | os.PathLike[str], notes: Mapping[str, Any]) -> None:
    """Add notes, JSON values by name, to the model in ``path``; ``read`` passes over them.

    The file is replaced by the new one at once.
    """
    with open(path, "rb") as file:
        members = _read_archive(file)
    header = json.loads(members.pop(_HEADER).tobytes())
    _replace(Path(path), {**header, "notes": {**header.get("notes", {}), **notes}}, members)


def notes(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What ``annotate`` added to the model in ``path``; values of any form, if somebody else wrote it.

    Raises
    ------
    StorageError
        The file is no saved model, or is damaged.
    OSError
        The file cannot be read.
    """
    with open(path, "rb") as file:
        try:
            header = json.loads(_read_archive(file)[_HEADER].tobytes())
            return dict(header.get("notes", {}))
        except Exception as error:  # whatever a damaged or hostile file makes its readers raise
            raise unreadable(path, error) from None


def _replace(path: Path, header: dict[str, Any], arrays: Mapping[str, AnyArray]) -> None:
    """Put an archive at ``path``; it appears complete or not at all."""
    text = json.dumps(header, indent=1, allow_nan=False).encode()
    with replacing(path) as temporary, open(temporary, "xb") as file:
        _write_archive(file, {_HEADER: np.frombuffer(text, np.uint8), **arrays})
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A path beside ``path`` for what is to take its place at the end, at once; after an exception nothing is left."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, str(temporary)):
            _name_file(error, path)
        raise


def _name_file(error: OSError, path: Path) -> None:
    """Let an error tell the file that users know."""
    if error.errno is None:
        error.args = (f"{path}: {error}",)
    else:
        error.filename, error.filename2 = str(path), None


def read(path: str | os.PathLike[str]) -> tuple[str, Stored]:
    """The class name and the values that ``write`` put into ``path``.

    Raises
    ------
    StorageError
        The file is no saved model, is damaged, or was made by a newer version.
    OSError
        The file cannot be read.
    """
    with open(path, "rb") as file:
        try:
            return _unpacked(_read_archive(file))
        except Exception as error:  # whatever a damaged or hostile file makes its readers raise
            raise unreadable(path, error) from None


def unreadable(path: str | os.PathLike[str], error: Exception) -> StorageError:
    """One line on why the file at ``path`` cannot be read."""
    reason = " ".join(str(error).split())[:300]
    if not isinstance(error, StorageError):
        reason = f"expected a saved model, got a file that is none or is damaged ({reason})"
    return StorageError(f"{os.fspath(path)}: {reason}")


def _unpacked(members: dict[str, AnyArray]) -> tuple[str, Stored]:
    if _HEADER not in members:
        raise StorageError("expected a saved model, got an archive without a header")
    header = json.loads(members.pop(_HEADER).tobytes())
    if not isinstance(header, dict) or header.get("format") != _FORMAT:
        raise StorageError("expected a saved model, got a header of something else")
    found = header.get("format_version")
    if found != _FORMAT_VERSION:
        raise StorageError(
            f"expected format version {_FORMAT_VERSION}, got {found!r}; "
            f"the file was made by latentcore {header.get('library_version')!r}"
        )
    stored: Stored = {part: dict(header[part]) for part in _PARTS}
    dtypes = header["dtypes"]
    if dtypes.keys() != members.keys():
        raise StorageError("expected the arrays that the header lists, got others")
    for key, array in members.items():
        if array.dtype.str != dtypes[key]:
            raise StorageError(f"{key}: expected dtype {dtypes[key]}, got {array.dtype.str}")
        part, _, name = key.partition("/")
        stored[part][name] = array
    return str(header["class"]), stored


# -- archives ------------------------------------------------------------------------------------


def _write_archive(file: BinaryIO, arrays: Mapping[str, AnyArray]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            member = BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            archive.writestr(
                zipfile.ZipInfo(f"{name}.npy"), member.getvalue()
            )  # undated: same model, same bytes


def _read_archive(file: BinaryIO) -> dict[str, AnyArray]:
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
    """The array of a ``.npy`` file; its declared size is checked before it is made."""
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
