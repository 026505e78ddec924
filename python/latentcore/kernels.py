"""The compiled kernels as functions on arrays.

Each takes C-contiguous arrays, float32 or float64 data and float64 parameters, checks them (``TypeError`` for a wrong
dtype, ``ValueError`` for a wrong shape or layout, naming the argument), releases the GIL and calls the C core once. No
conversions and no defaults: what is passed is what is computed on.
"""

from __future__ import annotations

from latentcore._core import isa, isa_available, isa_force
from latentcore._gaussian import (
    gaussian_add,
    gaussian_cavi_sweep,
    gaussian_em_sweep,
    gaussian_expected,
    gaussian_factors,
    gaussian_labels,
    gaussian_log_density,
    gaussian_log_joint,
    gaussian_maximize,
    gaussian_moments,
    gaussian_responsibilities,
)
from latentcore._hmm import (
    hmm_forward,
    hmm_forward_backward,
    hmm_log_likelihood,
    hmm_sample,
    hmm_viterbi,
)
from latentcore._kmeans import kmeans_potentials, kmeans_sweep
from latentcore._linalg import cholesky, inverse_transpose
from latentcore._linear import (
    linear_em_sweep,
    linear_labels,
    linear_log_density,
    linear_log_joint,
    linear_moments,
    linear_responsibilities,
)
from latentcore._logspace import exp, log, logsumexp, responsibilities
from latentcore._special import digamma, lgamma, multivariate_lgamma, sin_cos, trigamma

__all__ = [
    "cholesky",
    "digamma",
    "exp",
    "gaussian_add",
    "gaussian_cavi_sweep",
    "gaussian_em_sweep",
    "gaussian_expected",
    "gaussian_factors",
    "gaussian_labels",
    "gaussian_log_density",
    "gaussian_log_joint",
    "gaussian_maximize",
    "gaussian_moments",
    "gaussian_responsibilities",
    "hmm_forward",
    "hmm_forward_backward",
    "hmm_log_likelihood",
    "hmm_sample",
    "hmm_viterbi",
    "inverse_transpose",
    "isa",
    "isa_available",
    "isa_force",
    "kmeans_potentials",
    "kmeans_sweep",
    "lgamma",
    "linear_em_sweep",
    "linear_labels",
    "linear_log_density",
    "linear_log_joint",
    "linear_moments",
    "linear_responsibilities",
    "log",
    "logsumexp",
    "multivariate_lgamma",
    "responsibilities",
    "sin_cos",
    "trigamma",
]
