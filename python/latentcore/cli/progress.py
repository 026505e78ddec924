"""What a long fit shows while it runs, on standard error."""

from __future__ import annotations

import sys
from time import monotonic
from types import TracebackType
from typing import Any, Self

from latentcore.engine import Progress

__all__ = ["FitProgress"]

_SHORT = 0.5
"""Seconds that a fit may take without a word."""
_LINE_EVERY = 2.0
"""Seconds between lines where there is no terminal."""


class FitProgress:
    """A callback for ``fit``: a bar with the running bound on a terminal, now and then a line elsewhere.

    Parameters
    ----------
    max_iter, n_init : int
        The iterations of a start, and the number of starts.
    shown : bool, optional
        None shows it only where standard error is a terminal.
    """

    def __init__(self, max_iter: int, n_init: int, shown: bool | None = None) -> None:
        self._max_iter = max_iter
        self._n_init = n_init
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

    def __call__(self, progress: Progress) -> None:
        if not self._shown or monotonic() < self._next:
            return
        if self._on_terminal and (self._bar is not None or self._start_bar()):
            self._bar.update(self._task, completed=progress.iteration, text=self._text(progress))
        else:
            print(f"iteration {progress.iteration}: {self._text(progress)}", file=sys.stderr)
            self._next = monotonic() + _LINE_EVERY

    def _text(self, progress: Progress) -> str:
        start = f", start {progress.restart + 1} of {self._n_init}" if self._n_init > 1 else ""
        return f"bound {progress.objective:.6f}, change {progress.change:.1e}{start}"

    def _start_bar(self) -> bool:
        """Whether there is a bar: without rich there is none."""
        try:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar
        except ImportError:
            return False
        self._bar = Bar(
            TextColumn("fit"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[text]}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("fit", total=self._max_iter, text="")
        self._bar.start()
        return True
