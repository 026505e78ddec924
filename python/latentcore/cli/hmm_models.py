"""From what the command line says to hidden Markov models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import latentcore
from latentcore.cli.models import NOT_BAYESIAN, AnyHMM, ColumnFamilies, product_family
from latentcore.cli.tables import Table
from latentcore.families.gaussian import CovarianceType
from latentcore.structures.topology import Start, Topology

__all__ = ["bayesian_hmm", "described_hmm", "hidden_markov_model", "topology"]

_WITH_A_CLASS = {
    "bernoulli": latentcore.BernoulliHMM,
    "categorical": latentcore.CategoricalHMM,
    "multinomial": latentcore.MultinomialHMM,
    "poisson": latentcore.PoissonHMM,
}


def hidden_markov_model(
    family: str,
    table: Table,
    covariance: CovarianceType,
    column_families: ColumnFamilies,
    n_states: int,
    n_mix: int | None,
    settings: Mapping[str, Any],
) -> AnyHMM:
    """An unfitted model whose family is named as on the command line; with ``n_mix`` mixtures of Gaussians."""
    if family == "gaussian" and n_mix is not None:
        return latentcore.GMMHMM(n_states, n_mix=n_mix, covariance_type=covariance, **settings)
    if family == "gaussian":
        return latentcore.GaussianHMM(n_states, covariance_type=covariance, **settings)
    if family in _WITH_A_CLASS:
        made: AnyHMM = _WITH_A_CLASS[family](n_states, **settings)
        return made
    emissions = _emissions(family, table, covariance, column_families)
    return latentcore.HMM(emissions, n_states, **settings)


def bayesian_hmm(
    family: str,
    table: Table,
    covariance: CovarianceType,
    column_families: ColumnFamilies,
    n_states: int,
    concentration: float | None,
    topology: Topology | None,
    settings: Mapping[str, Any],
) -> AnyHMM:
    """The same with a posterior; what the topology forbids has no prior mass."""
    alpha = 1 / n_states if concentration is None else concentration
    initial, transition = (Topology() if topology is None else topology).allowed(n_states)
    chain = {"startprob_prior": alpha * initial, "transmat_prior": alpha * transition, **settings}
    if family == "gaussian":
        return latentcore.VariationalGaussianHMM(n_states, covariance_type=covariance, **chain)
    if family == "categorical":
        return latentcore.VariationalCategoricalHMM(n_states, **chain)
    emissions = _emissions(family, table, covariance, column_families)
    return latentcore.BayesianHMM(emissions, n_states, **chain)


def described_hmm(
    table: Table,
    components: int,
    family: str,
    covariance: CovarianceType,
    column_families: ColumnFamilies,
    mixtures: int | None,
    topology: Topology | None,
    bayes: bool,
    concentration: float | None,
    **settings: Any,
) -> AnyHMM:
    """The unfitted model that the options describe."""
    named = (family, table, covariance, column_families, components)
    if not bayes:
        return hidden_markov_model(*named, mixtures, {**settings, "topology": topology})
    settings = {name: settings[name] for name in settings.keys() - NOT_BAYESIAN}
    return bayesian_hmm(*named, concentration, topology, settings)


def _emissions(
    family: str, table: Table, covariance: CovarianceType, column_families: ColumnFamilies
) -> Any:
    return product_family(table, covariance, column_families) if family == "mixed" else family


def topology(
    kind: tuple[str, int | None] | None, start: Start | None, n_states: int
) -> Topology | None:
    """The topology of this kind, with steps of at most that many; None where nothing is asked for."""
    if kind is None and start is None:
        return None
    name, step = kind or ("ergodic", None)
    start = start or "free"
    if name == "ergodic":
        return Topology(start=start)
    if name == "left-to-right":
        return Topology.left_to_right(n_states, step or 1)
    make = Topology.banded if name == "banded" else Topology.cyclic
    return make(n_states, step or 1, start=start)
