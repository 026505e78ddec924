"""The command line ``latentcore``.

Needs the extra ``cli`` for CSV and Parquet files (pyarrow) and for the progress bar (rich), the extra ``plot`` for
pictures. Errors are one line on standard error, with exit status 2.
"""

from __future__ import annotations

import errno
import os
import sys
import warnings
from collections.abc import Sequence
from typing import TextIO

from latentcore.cli.options import UsageError, parse

__all__ = ["main"]

_FULL = (errno.ENOSPC, errno.EFBIG)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments : sequence of str, optional
        None takes those of the process.

    Returns
    -------
    int
        The exit status: 0, 2 after an error, 130 after Ctrl-C.
    """
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            command, options = parse(arguments)
            command(**options)
            if sys.stdout is not None:  # it is where the caller has closed it
                sys.stdout.flush()
        except SystemExit as end:  # --help and --version
            return int(end.code or 0)
        except KeyboardInterrupt:
            after_echo = "\n" if sys.stderr.isatty() else ""  # of the ^C
            print(f"{after_echo}latentcore: interrupted", file=sys.stderr)
            return 130
        except BrokenPipeError:  # the reader, `head` perhaps, has had enough
            _drop_output()
            return 0
        except (UsageError, ValueError, OSError, MemoryError) as error:
            if _is_of_full_output(error):
                _drop_output()
            print(f"latentcore: error: {_one_line(error)}", file=sys.stderr)
            return 2
    return 0


def _drop_output() -> None:
    """Let what is left of the output go nowhere: Python would write it when it ends, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _is_of_full_output(error: Exception) -> bool:
    """Whether standard output cannot be written: files have names."""
    return isinstance(error, OSError) and error.errno in _FULL and error.filename is None


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, OSError) and _is_of_full_output(error):
        return f"standard output: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    print(f"latentcore: warning: {' '.join(str(message).split())}", file=sys.stderr)
