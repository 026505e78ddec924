"""The command ``latentcore stream``: learn from rows as they come."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

from latentcore.cli.learner import Description, Learner, set_online
from latentcore.cli.lines import STDIN, Lines, Stop, is_live
from latentcore.cli.models import SavedModel, load, tell_saved
from latentcore.cli.pictures import check_folder
from latentcore.cli.progress import StreamProgress
from latentcore.cli.records import Format
from latentcore.errors import NotFittedError

__all__ = ["stream"]


def stream(
    path: Path,
    files: list[str],
    out: Path | None,
    description: Description | None,
    format_: Format | None,
    resume: bool,
    flush_seconds: float | None,
    progress: bool | None,
    online: dict[str, Any],
    group_by: str | None,
    weight_by: str | None,
    continues: bool,
    **settings: Any,
) -> None:
    """Learn from rows as they come, save the model now and then, print its table at the end."""
    out = path if out is None else out
    check_folder(out)
    sources = files or [STDIN]
    any_live = any(is_live(source) for source in sources)
    if resume and any_live:
        raise ValueError(
            "--resume: expected files, whose rows can be passed over; what comes through a pipe is new"
        )
    found, saved = _begun(path, out, description)
    greeting = ""
    if saved is not None:
        seen = getattr(saved.model, "n_samples_seen_", 0)
        greeting = f"going on from {found}, which has learned from {seen} rows"
        for option, value in (("group-by", group_by), ("continues", continues)):
            if value and not saved.is_hmm:
                name = type(saved.model).__name__
                raise ValueError(f"--{option}: only for hidden Markov models, got {name}")
        group_by = None if continues else group_by or saved.group_by
        set_online(saved, online, group_by, weight_by)
    n_read = saved.rows_read if saved is not None and resume else 0
    with Stop() as stop, StreamProgress(progress) as show:
        learner = Learner(
            out,
            saved,
            description,
            any_live,
            show,
            greeting,
            online=online,
            group_by=group_by,
            weight_by=weight_by,
            **settings,
        )
        try:
            for source in sources:
                with Lines(source, stop, learner.patience(flush_seconds), learner.flush) as lines:
                    learner.read(lines, format_, n_read)
            if learner.n_read < n_read and not stop.asked:
                raise ValueError(
                    f"--resume: expected the {n_read} rows that {found} has read and what came after, got "
                    f"{learner.n_read} rows: the files are others (without --resume all rows are new)"
                )
            if any_live or not stop.asked:
                learner.flush()
        finally:
            learner.snapshot()
    _report(learner, out)
    if stop.signal == signal.SIGINT:
        raise KeyboardInterrupt
    if stop.signal is not None:
        raise SystemExit(128 + stop.signal)


def _begun(
    path: Path, out: Path, description: Description | None
) -> tuple[Path | None, SavedModel | None]:
    """The model to go on with: that of an earlier run, else the one that is given; None if it is to be made."""
    found = next((place for place in (out, path) if place.exists()), None)
    if found is None:
        if description is None:
            raise ValueError(
                f"{path}: there is no such file (-k says of how many components to make one)"
            )
        return None, None
    saved = load(str(found))
    model: Any = saved.model
    if not hasattr(model, "partial_fit"):
        raise ValueError(f"{found}: expected a model with partial_fit, got {type(model).__name__}")
    if description is not None:
        description.check(found, model)
    return found, saved


def _report(learner: Learner, out: Path) -> None:
    if learner.n_bad:
        print(f"{learner.n_bad} bad rows were left out", file=sys.stderr)
    print(f"learned from {learner.n_learned} rows in {learner.n_batches} batches", file=sys.stderr)
    if learner.saved is None or not learner.n_learned:
        return
    tell_saved(out)
    try:
        print(learner.saved.described())
    except NotFittedError as error:
        print(f"not begun yet: {error}", file=sys.stderr)
