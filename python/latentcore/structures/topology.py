"""What is known of a chain's transitions and of its start: which entries are free, and how counts become laws."""

from __future__ import annotations

from dataclasses import dataclass

from latentcore.protocols import Array

__all__ = ["Topology"]


@dataclass(frozen=True, slots=True)
class Topology:
    """All entries free."""

    def maximize(
        self, starts: Array, transitions: Array, previous: tuple[Array, Array] | None
    ) -> tuple[Array, Array]:
        """The initial law (S,) and the transition matrix (S, S) of largest expected log-likelihood.

        Parameters
        ----------
        starts : (S,)
            Expected counts of first states.
        transitions : (S, S)
            Expected counts of transitions.
        previous : initial law and transition matrix, optional
            Serve rows without counts.
        """
        old_start, old_transition = (None, None) if previous is None else previous
        return (
            _shares(starts[None], None if old_start is None else old_start[None])[0],
            _shares(transitions, old_transition),
        )


def _shares(counts: Array, previous: Array | None) -> Array:
    """Rows divided by their sums; rows of zeros stay as they were, or are uniform."""
    sums = counts.sum(axis=1, keepdims=True)
    otherwise = 1.0 / counts.shape[1] if previous is None else previous
    shares: Array = (counts + (sums == 0) * otherwise) / (sums + (sums == 0))
    return shares
