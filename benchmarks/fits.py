"""The same fit by both libraries, and whether they agree."""

from __future__ import annotations

import sys
import time
from typing import Any, Literal

from sklearn.mixture import BayesianGaussianMixture as BayesianPeer
from sklearn.mixture import GaussianMixture as Peer

from latentcore import BayesianGaussianMixture, GaussianMixture
from shapes import Problem

Library = Literal["latentcore", "scikit-learn"]

_TOLERANCES = {"float64": 1e-8, "float32": 1e-4}
"""Largest relative difference of log-likelihoods: a peer that computes in float32 sums in it too."""


def fit(library: Library, problem: Problem, n_iterations: int, n_threads: int) -> Any:
    """An estimator after so many EM iterations.

    ``n_threads`` is for latentcore; scikit-learn's are set by ``threadpool_limits`` around many fits,
    for it takes milliseconds.
    """
    shape = problem.shape
    settings: dict[str, Any] = {
        "covariance_type": shape.covariance_type,
        "tol": 0.0,
        "max_iter": n_iterations,
        **problem.start,
    }
    if library == "latentcore":
        return GaussianMixture(shape.n_components, n_threads=n_threads, **settings).fit(problem.x)
    return Peer(shape.n_components, **settings).fit(problem.x)


def bayesian_fit(library: Library, problem: Problem, n_iterations: int, n_threads: int) -> Any:
    """A Bayesian estimator after so many iterations of variational inference, from rows drawn with the same seed.

    scikit-learn adds ``reg_covar`` at every step, which no prior does; so it is 0.
    """
    shape = problem.shape
    settings: dict[str, Any] = {
        "covariance_type": shape.covariance_type,
        "tol": 0.0,
        "max_iter": n_iterations,
        "reg_covar": 0.0,
        "init_params": "random_from_data",
        "random_state": 0,
    }
    if library == "latentcore":
        model: Any = BayesianGaussianMixture(shape.n_components, n_threads=n_threads, **settings)
    else:
        model = BayesianPeer(n_components=shape.n_components, **settings)
    return model.fit(problem.x)


def check_agreement(problem: Problem, n_threads: int) -> dict[Library, float]:
    """Stop the program if the log-likelihoods after one iteration differ.

    Returns
    -------
    dict
        Rough seconds of an iteration of each library.
    """
    bounds: dict[Library, float] = {}
    seconds: dict[Library, float] = {}
    libraries: tuple[Library, ...] = ("latentcore", "scikit-learn")
    for library in libraries:
        began = time.perf_counter()
        model = fit(library, problem, 2, n_threads)
        seconds[library] = (time.perf_counter() - began) / 3  # both end with one more E-step
        bounds[library] = float(model.lower_bound_)
    ours, theirs = bounds["latentcore"], bounds["scikit-learn"]
    tolerance = _TOLERANCES[problem.x.dtype.name]
    if not abs(ours - theirs) <= tolerance * abs(theirs):
        sys.exit(
            f"{problem.shape.name} {problem.x.dtype}: expected log-likelihoods that agree to "
            f"{tolerance:g}, got {ours!r} from latentcore and {theirs!r} from scikit-learn"
        )
    return seconds
