"""latentcore: fast, honest, mergeable inference for models with hidden variables."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from latentcore._core import version as _version
from latentcore.estimators.bayesian_gaussian import BayesianGaussianMixture
from latentcore.estimators.bayesian_hmm import BayesianHMM
from latentcore.estimators.bayesian_hmm_named import (
    VariationalCategoricalHMM,
    VariationalGaussianHMM,
)
from latentcore.estimators.bayesian_means import GaussianMeansMixture
from latentcore.estimators.bayesian_mixture import BayesianMixture
from latentcore.estimators.combining import Alignment, combine, relative_entropy
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
from latentcore.estimators.online import Online
from latentcore.estimators.saved import load
from latentcore.rules.steps import ConstantStep, InverseStep, PowerStep
from latentcore.selection import Selection, select
from latentcore.splitters import SequenceKFold
from latentcore.streams import Batches
from latentcore.structures.topology import Topology
from latentcore.threads import get_num_threads, set_num_threads, threads

if TYPE_CHECKING:
    from latentcore import datasets as datasets
    from latentcore import distributed as distributed
    from latentcore import plots as plots

__version__ = _version()

__all__ = [
    "GMMHMM",
    "HMM",
    "Alignment",
    "Batches",
    "BayesianGaussianMixture",
    "BayesianHMM",
    "BayesianMixture",
    "BernoulliHMM",
    "BernoulliMixture",
    "CategoricalHMM",
    "CategoricalMixture",
    "ConstantStep",
    "ExponentialMixture",
    "GammaMixture",
    "GaussianHMM",
    "GaussianMeansMixture",
    "GaussianMixture",
    "InverseStep",
    "Mixture",
    "MultinomialHMM",
    "MultinomialMixture",
    "Online",
    "PoissonHMM",
    "PoissonMixture",
    "PowerStep",
    "Selection",
    "SequenceKFold",
    "Topology",
    "VariationalCategoricalHMM",
    "VariationalGaussianHMM",
    "VonMisesMixture",
    "__version__",
    "combine",
    "get_include",
    "get_num_threads",
    "load",
    "relative_entropy",
    "select",
    "set_num_threads",
    "threads",
]

_ON_DEMAND = frozenset({"datasets", "distributed", "plots"})
"""Modules that few programs need, or that need other packages."""


if not TYPE_CHECKING:  # else every name would be an attribute

    def __getattr__(name: str) -> object:
        if name in _ON_DEMAND:
            return import_module(f"latentcore.{name}")
        raise AttributeError(f"module 'latentcore' has no attribute {name!r}")


def get_include() -> str:
    """Folder of the C headers, for compilers of code that embeds the C core."""
    installed = Path(__file__).parent / "include"
    in_source = Path(__file__).parents[2] / "include"
    return str(installed if installed.is_dir() else in_source)
