"""What families share whose log-density is linear in its statistics: ``log f_k(x) = T(x) . eta_k - A_k + h(x)``.

Columns are independent (or, for the multinomial, act as if they were), so that an entry that is missing is left out:
of T, of A, and of the counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from latentcore import kernels
from latentcore.arrays import CSR, Rows
from latentcore.errors import ImpossibleRowError
from latentcore.protocols import Array, RealArray
from latentcore.statistics import Statistics

__all__ = ["Features", "Linear", "LinearForm", "LinearStatistics"]

P = TypeVar("P")

Features = Literal["x", "x_log_x", "cos_sin", "one_hot"]
"""T(x) of D columns: x; x of all columns, then log x of all; cosines, then sines; ones at codes, column by column."""


@dataclass(frozen=True, slots=True)
class LinearStatistics(Statistics):
    """Sums over rows under the components' weights.

    Attributes
    ----------
    counts : (K, D)
        Of the rows in which a column was observed.
    sums : (K, F)
        Of T(x).
    """

    counts: Array
    sums: Array


class LinearForm(NamedTuple):
    """``log f_k(x) = sum_d constants_kd + sum_f coefficients_kf T_f(x) + h(x)``, over what was observed.

    An infinite coefficient forbids: -inf allows only T_f = 0, +inf only T_f = 1. The constant is what remains then.
    """

    constants: Array
    """(K, D)"""
    coefficients: Array
    """(K, F)"""


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What sweeps over the same rows need to know again and again."""

    missing: bool
    log_base: float
    """Summed over rows, by weight."""


class Linear(Generic[P]):
    """The protocol's functions for a family that gives its ``form``.

    Where they take parameters they also take a form itself, such as that of expected log-densities, which is no
    distribution's.
    """

    __slots__ = ()

    features: ClassVar[Features]

    def form(self, params: P) -> LinearForm:
        """Constants and coefficients of K components."""
        raise NotImplementedError

    def log_base(self, x: RealArray) -> Array | None:
        """log h(x) of each row, (N,), over what was observed; None where h is 1."""
        return None

    def n_levels(self) -> tuple[int, ...]:
        """Of ``one_hot`` features: the number of codes of each column."""
        raise NotImplementedError

    # -- the protocol

    def log_likelihood(self, params: P | LinearForm, x: RealArray) -> RealArray:
        """Log-densities, (N, K), nats."""
        return self.mixture_log_joint(params, _no_log_weights(self._form(params)), x)

    def log_kernel(self, params: P | LinearForm, x: RealArray) -> RealArray:
        """Log-densities without log h(x), (N, K), nats."""
        form = self._form(params)
        return kernels.linear_log_joint(*self._arguments(form, _no_log_weights(form), x))

    def expected_statistics(
        self, params: P | LinearForm | None, x: RealArray, weights: RealArray
    ) -> LinearStatistics:
        """Sums of rows ``x`` (N, D) under ``weights`` (N, K) >= 0, same dtype."""
        counts, sums, observed = kernels.linear_moments(
            _rows(x),
            weights,
            self.features,
            self._levels(),
            _has_missing(x),
            x.shape[1] if isinstance(x, CSR) else None,
        )
        return LinearStatistics(_by_column(counts, observed, x.shape[1]), sums)

    # -- fused sweeps; see protocols.FusedFamily

    def prepare(self, data: Rows) -> object:
        """Whether entries are missing, and the sum of log h(x).

        Raises
        ------
        ImpossibleRowError
            h(x) is 0 or overflows.
        """
        missing = _has_missing(data.x)
        base = self.log_base(data.x)
        if base is None:
            return _Prepared(missing, 0.0)
        if data.sample_weight is not None:
            absent = data.sample_weight == 0
            base = np.where(absent, 0.0, base) * np.where(absent, 1.0, data.sample_weight)
        with np.errstate(over="ignore"):  # what no log-density of this precision can be
            impossible = np.flatnonzero(~np.isfinite(base.astype(data.x.dtype)))
        if impossible.size:
            raise ImpossibleRowError(int(impossible[0]))
        return _Prepared(missing, float(base.sum()))

    def mixture_sweep(
        self, params: P | LinearForm, log_weights: Array, data: Rows, hard: bool
    ) -> tuple[Array, LinearStatistics, float]:
        """Counts, statistics and objective of one E-step."""
        prepared = data.prepared if isinstance(data.prepared, _Prepared) else self.prepare(data)
        assert isinstance(prepared, _Prepared)
        form = _for_kernels(self._form(params), data.x)
        counts, sums, observed, objective = kernels.linear_em_sweep(
            _rows(data.x),
            data.sample_weight,
            log_weights,
            *form,
            self.features,
            self._levels(),
            prepared.missing,
            data.labels,
            hard,
        )
        by_column = _by_column(counts, observed, data.x.shape[1])
        return counts, LinearStatistics(by_column, sums), objective + prepared.log_base

    def mixture_log_joint(
        self, params: P | LinearForm, log_weights: Array, x: RealArray
    ) -> RealArray:
        """(N, K): log weight plus log-density, nats."""
        form = self._form(params)
        log_joint: RealArray = kernels.linear_log_joint(*self._arguments(form, log_weights, x))
        return self._with_base(log_joint, x)

    def mixture_responsibilities(
        self, params: P | LinearForm, log_weights: Array, x: RealArray
    ) -> tuple[RealArray, RealArray]:
        """(N, K) responsibilities and (N,) log-densities of the mixture, nats."""
        r, log_density = kernels.linear_responsibilities(
            *self._arguments(self._form(params), log_weights, x)
        )
        return r, self._with_base(log_density, x)

    def mixture_log_density(
        self, params: P | LinearForm, log_weights: Array, x: RealArray
    ) -> RealArray:
        """(N,) log-densities of the mixture, nats."""
        log_density = kernels.linear_log_density(
            *self._arguments(self._form(params), log_weights, x)
        )
        return self._with_base(log_density, x)

    def mixture_labels(
        self, params: P | LinearForm, log_weights: Array, x: RealArray
    ) -> npt.NDArray[np.intp]:
        """(N,) the most responsible component of each row, the first of equals."""
        return kernels.linear_labels(*self._arguments(self._form(params), log_weights, x))

    # -- inside

    def _form(self, params: P | LinearForm) -> LinearForm:
        return params if isinstance(params, LinearForm) else self.form(params)

    def _arguments(self, form: LinearForm, log_weights: Array, x: RealArray) -> tuple[Any, ...]:
        form = _for_kernels(form, x)
        return _rows(x), log_weights, *form, self.features, self._levels(), _has_missing(x)

    def _levels(self) -> npt.NDArray[np.intp] | None:
        return np.array(self.n_levels(), np.intp) if self.features == "one_hot" else None

    def _with_base(self, log_density: RealArray, x: RealArray) -> RealArray:
        """With log h(x) added to (N,) or (N, K) log-densities, in place."""
        base = self.log_base(x)
        if base is not None:
            with np.errstate(over="ignore"):
                log_density.T[...] += base.astype(log_density.dtype)
        return log_density


def _no_log_weights(form: LinearForm) -> Array:
    return np.zeros(len(form.constants))


def _rows(x: RealArray | CSR) -> Any:
    """As the kernels take them."""
    return (x.begins, x.columns, x.values) if isinstance(x, CSR) else x


def _has_missing(x: RealArray | CSR) -> bool:
    return not isinstance(x, CSR) and math.isnan(float(x.sum()))


_SURE = 745.0
"""exp(-745) is the smallest positive number."""


def _for_kernels(form: LinearForm, x: RealArray | CSR) -> LinearForm:
    """For sparse rows a coefficient of +inf becomes finite, since it speaks of entries that are not stored.

    A row without the entry has density exp(-745) in place of 0.
    """
    if not isinstance(x, CSR) or not np.isposinf(form.coefficients).any():
        return LinearForm(*map(np.ascontiguousarray, form))
    sure = np.isposinf(form.coefficients)
    return LinearForm(
        np.where(sure, form.constants - _SURE, form.constants),
        np.where(sure, _SURE, form.coefficients),
    )


def _by_column(counts: Array, observed: Array | None, n_columns: int) -> Array:
    if observed is not None:
        return observed
    return np.repeat(counts[:, None], n_columns, axis=1)
