"""Saved models of all classes."""

from __future__ import annotations

import os
from typing import Any

from latentcore import storage
from latentcore.errors import StorageError
from latentcore.estimators.base import Estimator
from latentcore.estimators.bayesian_gaussian import BayesianGaussianMixture
from latentcore.estimators.bayesian_hmm import BayesianHMM
from latentcore.estimators.bayesian_hmm_named import (
    VariationalCategoricalHMM,
    VariationalGaussianHMM,
)
from latentcore.estimators.bayesian_means import GaussianMeansMixture
from latentcore.estimators.bayesian_mixture import BayesianMixture
from latentcore.estimators.gaussian_mixture import GaussianMixture
from latentcore.estimators.gmm_hmm import GMMHMM
from latentcore.estimators.hmm import HMM
from latentcore.estimators.hmm_gaussian import GaussianHMM
from latentcore.estimators.hmm_named import BernoulliHMM, CategoricalHMM, MultinomialHMM, PoissonHMM
from latentcore.estimators.mixture import Mixture
from latentcore.estimators.named_mixtures import (
    BernoulliMixture,
    CategoricalMixture,
    ExponentialMixture,
    GammaMixture,
    MultinomialMixture,
    PoissonMixture,
    VonMisesMixture,
)

__all__ = ["load"]

_CLASSES: dict[str, type[Estimator]] = {
    cls.__name__: cls
    for cls in (
        BayesianGaussianMixture,
        BayesianHMM,
        BayesianMixture,
        BernoulliHMM,
        BernoulliMixture,
        CategoricalHMM,
        CategoricalMixture,
        ExponentialMixture,
        GammaMixture,
        GMMHMM,
        GaussianHMM,
        GaussianMeansMixture,
        GaussianMixture,
        HMM,
        Mixture,
        MultinomialHMM,
        MultinomialMixture,
        PoissonHMM,
        PoissonMixture,
        VariationalCategoricalHMM,
        VariationalGaussianHMM,
        VonMisesMixture,
    )
}


def load(path: str | os.PathLike[str]) -> Any:
    """The model that ``save`` wrote to ``path``, of the class that it had.

    Raises
    ------
    StorageError
        The file is no saved model, is damaged, holds impossible values, or was made by a newer
        version.
    OSError
        The file cannot be read.
    """
    name, stored = storage.read(path)
    try:
        if name not in _CLASSES:
            raise StorageError(
                f"expected a model of class GaussianMixture, GaussianHMM or another of latentcore's, got {name!r}"
            )
        return _CLASSES[name]._from_stored(stored)
    except Exception as error:  # values that no model has
        raise storage.unreadable(path, error) from None
