"""What long work shows while it runs, on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from time import monotonic
from types import TracebackType
from typing import Any, Self

from latentcore.engine import Progress
from latentcore.parts import Part
from latentcore.selection import SelectionProgress

__all__ = ["FitProgress", "PartsProgress", "SelectProgress", "StreamProgress"]

_SHORT = 0.5
"""Seconds that work may take without a word."""
_LINE_EVERY = 2.0
"""Seconds between lines where there is no terminal."""


class _Shown:
    """A bar on a terminal, now and then a line elsewhere.

    Parameters
    ----------
    title : str
    total : int, optional
        Steps, if it is known how many.
    shown : bool, optional
        None shows it only where standard error is a terminal.
    """

    def __init__(self, title: str, total: int | None, shown: bool | None) -> None:
        self._title = title
        self._total = total
        self._on_terminal = sys.stderr.isatty()
        self._shown = self._on_terminal if shown is None else shown
        self._next = monotonic() + _SHORT
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _is_due(self) -> bool:
        return self._shown and monotonic() >= self._next

    def _show(self, step: str, done: int, total: int | None, text: str) -> None:
        if self._on_terminal and (self._bar is not None or self._start_bar()):
            self._bar.update(self._task, completed=done, total=total, text=text)
        else:
            print(f"{step}: {text}", file=sys.stderr)
            self._next = monotonic() + _LINE_EVERY

    def _start_bar(self) -> bool:
        """Whether there is a bar: without rich there is none."""
        try:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar
        except ImportError:
            return False
        self._bar = Bar(
            TextColumn(self._title),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[text]}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task(self._title, total=self._total, text="")
        self._bar.start()
        return True


class FitProgress(_Shown):
    """A callback for ``fit``: the running bound.

    Parameters
    ----------
    max_iter, n_init : int
        The iterations of a start, and the number of starts.
    shown : bool, optional
        None shows it only where standard error is a terminal.
    """

    def __init__(self, max_iter: int, n_init: int, shown: bool | None = None) -> None:
        super().__init__("fit", max_iter, shown)
        self._n_init = n_init

    def __call__(self, progress: Progress) -> None:
        if self._is_due():
            start = f", start {progress.restart + 1} of {self._n_init}" if self._n_init > 1 else ""
            text = f"bound {progress.objective:.6f}, change {progress.change:.1e}{start}"
            self._show(f"iteration {progress.iteration}", progress.iteration, self._total, text)


class PartsProgress(_Shown):
    """A callback for ``fit`` to data in parts: the rows of the pass, their rate, and the running bound.

    Parameters
    ----------
    shown : bool, optional
        None shows it only where standard error is a terminal.
    """

    def __init__(self, shown: bool | None = None) -> None:
        super().__init__("fit", None, shown)
        self._text = "first pass"
        self._n_done = 0

    def __call__(self, progress: Progress) -> None:
        rate = progress.rows_per_second()
        speed = "" if rate is None else f", {rate:,.0f} rows/s"
        self._text = f"iteration {progress.iteration}, bound {progress.objective:.6f}{speed}"
        self._total = progress.n_rows
        self._n_done = progress.n_rows or 0
        self._tell()

    def counted(self, parts: Iterable[Part]) -> Iterator[Part]:
        """The parts of a pass, and word of each."""
        self._n_done = 0
        for part in parts:
            yield part
            self._n_done += len(part.X)
            self._tell()

    def _tell(self) -> None:
        if self._is_due():
            self._show(f"{self._n_done} rows", self._n_done, self._total, self._text)


class SelectProgress(_Shown):
    """A callback for ``select``: how many fits of how many, and the last one.

    Parameters
    ----------
    shown : bool, optional
        None shows it only where standard error is a terminal.
    """

    def __init__(self, shown: bool | None = None) -> None:
        super().__init__("select", None, shown)

    def __call__(self, progress: SelectionProgress) -> None:
        if self._is_due():
            last = progress.candidate
            text = f"{last.family[:30]}, K = {last.n_components}"
            done, total = progress.n_done, progress.n_total
            self._show(f"fit {done} of {total}", done, total, text)


class StreamProgress(_Shown):
    """Of learning from a stream: rows, their rate, the bound of late batches and the step size.

    Parameters
    ----------
    shown : bool, optional
        None shows it only where standard error is a terminal.
    """

    def __init__(self, shown: bool | None = None) -> None:
        super().__init__("stream", None, shown)
        self._begin = monotonic()

    def __call__(self, n_rows: int, bound: float, eta: float | None) -> None:
        if self._is_due():
            rate = n_rows / max(monotonic() - self._begin, 1e-9)
            text = f"{rate:,.0f} rows/s, bound {bound:.6f}"
            text += "" if eta is None else f", eta {eta:.3g}"
            self._show(f"row {n_rows}", n_rows, None, text)
