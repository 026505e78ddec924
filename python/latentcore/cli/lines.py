"""Lines of files and of standard input as they come, until a signal asks to stop."""

from __future__ import annotations

import gzip
import os
import select
import signal
import stat
import threading
import zlib
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any, Self

from latentcore.cli.text_files import not_text

__all__ = ["STDIN", "Lines", "Stop", "StreamError", "is_live"]

STDIN = "-"

_CHUNK = 1 << 16
_LONGEST = 1 << 24
"""Bytes of a line: beyond, this is no file of lines."""


class StreamError(ValueError):
    """A stream that cannot be gone on with; the message names its source, and the line where it can."""


class Stop:
    """Signals that ask to stop set a mark that readers look at; a second one acts at once.

    A signal does not interrupt what is at work, so that no line that was read is lost. Outside the main thread, where
    signals cannot be had, there is nobody to ask.
    """

    _SIGNALS = tuple(
        getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
    )

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, Any] = {}
        self._bell: tuple[int, int] | None = None
        self._bell_before = -1

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._bell = os.pipe()
            for end in self._bell:
                os.set_blocking(end, False)
            self._bell_before = signal.set_wakeup_fd(self._bell[1], warn_on_full_buffer=False)
            for number in self._SIGNALS:
                if (
                    signal.getsignal(number) is not signal.SIG_IGN
                ):  # as of a shell's background jobs
                    self._before[number] = signal.signal(number, self._mark)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._restore()
        if self._bell is not None:
            signal.set_wakeup_fd(self._bell_before)
            for end in self._bell:
                os.close(end)

    def _mark(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        self._restore()

    def _restore(self) -> None:
        while self._before:
            signal.signal(*self._before.popitem())

    @property
    def asked(self) -> bool:
        return self.signal is not None

    def wait(self, file: Any, seconds: float | None) -> bool:
        """Wait until there is something to read, or a signal; False when that many seconds have passed."""
        watched = [file] if self._bell is None else [file, self._bell[0]]
        return bool(select.select(watched, [], [], seconds)[0])


def is_live(source: str) -> bool:
    """Whether what is read is gone: of a pipe or a terminal, not of a file."""
    try:
        status = os.fstat(0) if source == STDIN else os.stat(source)
    except OSError as error:
        error.filename = _name(source)
        raise
    return not stat.S_ISREG(status.st_mode)


def _name(source: str) -> str:
    return "standard input" if source == STDIN else source


class Lines:
    """Lines with their ends, decoded from UTF-8.

    Parameters
    ----------
    source : str
        A path, also of a file compressed by gzip; or ``-``, standard input.
    stop : Stop
        Once it is asked for, lines of a file end, and those of a pipe end with the last one that has been read whole.
    due : () -> float or None
        Seconds that a pipe may be waited for, None for as long as it takes; then ``flush`` is called.
    flush : () -> None

    Raises
    ------
    OSError
        The file cannot be opened, or read.
    StreamError
        It is damaged, or not one of lines.
    """

    def __init__(
        self,
        source: str,
        stop: Stop,
        due: Callable[[], float | None] = lambda: None,
        flush: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = _name(source)
        self._stop = stop
        self._due = due
        self._flush = flush
        self._live = is_live(source)
        # without buffers, in which lines could be when a signal comes
        raw = open(0, "rb", 0, closefd=False) if source == STDIN else open(source, "rb", 0)  # noqa: SIM115
        zipped = source.lower().endswith(".gz")
        self._raw = raw
        self._zipped = gzip.GzipFile(fileobj=raw) if zipped else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._zipped is not None:
            self._zipped.close()
        self._raw.close()

    def __iter__(self) -> Iterator[str]:
        rest, first = b"", True
        while chunk := self._chunk():
            wrong = not_text(chunk) if first else None
            if wrong is not None:
                raise StreamError(f"{self.name}: {wrong}")
            whole, end, rest = (rest + chunk).rpartition(b"\n")
            if len(rest) > _LONGEST:
                raise StreamError(f"{self.name}: expected lines of text, got none that ends")
            for line in (whole + end).splitlines(keepends=True):
                yield _text(line, first)
                first = False
        if rest and not self._stop.asked:
            yield _text(rest, first)

    def _chunk(self) -> bytes:
        """What there is to read; nothing at the end."""
        while not self._stop.asked:
            if self._live and not self._stop.wait(self._raw, self._due()):
                self._flush()
            elif not self._stop.asked:
                return self._read()
        return b""

    def _read(self) -> bytes:
        if self._zipped is None:
            return self._raw.read(_CHUNK) or b""
        try:
            return self._zipped.read1(_CHUNK)  # what is whole of a truncated file, before it fails
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise StreamError(f"{self.name}: truncated or damaged: {error}") from None


def _text(line: bytes, is_first: bool) -> str:
    return line.decode("utf-8-sig" if is_first else "utf-8", errors="replace")
