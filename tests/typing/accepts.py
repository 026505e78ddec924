"""A downstream program that mypy --strict accepts, and that runs: the public interface as a user types it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, assert_type

import numpy as np
import numpy.typing as npt

import latentcore
from latentcore import (
    BayesianGaussianMixture,
    BayesianMixture,
    CategoricalMixture,
    GaussianHMM,
    GaussianMeansMixture,
    GaussianMixture,
    MultinomialMixture,
    PoissonHMM,
    PoissonMixture,
    Topology,
    distributed,
    engine,
    kernels,
)
from latentcore.arrays import Rows
from latentcore.diagnostics import ELBO
from latentcore.errors import NumericalError
from latentcore.families.gaussian import (
    Gaussian,
    GaussianParams,
    GaussianPrior,
    GaussianStatistics,
)
from latentcore.families.gaussian_means import NormalPrior
from latentcore.families.poisson import Poisson as BuiltInPoisson
from latentcore.families.poisson import PoissonParams
from latentcore.families.priors import DirichletPrior, GammaPrior
from latentcore.protocols import Array, Family, RealArray
from latentcore.rules.em import EM
from latentcore.rules.online import FiniteSample
from latentcore.statistics import Statistics, total
from latentcore.structures.hmm import HMMPrior
from latentcore.structures.mixture import Mixture, MixtureParams, MixturePrior, MixtureStatistics

rng = np.random.default_rng(0)
x: npt.NDArray[np.float64] = rng.normal(0.0, 1.0, (200, 2)) + 6.0 * (np.arange(200) % 2)[:, None]
x_single = x.astype(np.float32)


def kernels_keep_the_precision_of_the_data() -> None:
    assert_type(kernels.logsumexp(x), npt.NDArray[np.float64])
    assert_type(kernels.logsumexp(x_single), npt.NDArray[np.float32])
    r, lse = kernels.responsibilities(x_single, out=np.empty_like(x_single))
    assert_type(r, npt.NDArray[np.float32])
    assert_type(lse, npt.NDArray[np.float32])
    assert_type(kernels.cholesky(np.eye(2)), npt.NDArray[np.float64])
    assert_type(kernels.isa_available("v3"), bool)


def an_estimator_is_fitted_and_asked() -> None:
    model = GaussianMixture(2, covariance_type="full", random_state=0)
    assert_type(model.fit(x), GaussianMixture)
    assert_type(model.predict(x), npt.NDArray[np.intp])
    assert_type(model.fit_predict(x), npt.NDArray[np.intp])
    assert_type(model.score(x), float)
    assert_type(model.bic(x), float)
    assert_type(model.converged_, bool)
    assert_type(model.n_iter_, int)
    assert_type(model.lower_bounds_, list[float])
    assert_type(model.summary(), str)
    probabilities: npt.NDArray[np.floating[Any]] = model.predict_proba(x)
    assert probabilities.shape == (200, 2)
    with latentcore.threads(1):
        assert_type(latentcore.get_num_threads(), int)


def fits_on_a_cluster_return_what_they_are_given(data: Any) -> None:
    """Not called, for there is none."""
    traffic = distributed.Traffic()
    model = distributed.fit(GaussianHMM(2), data, groups="group", order_by="time", traffic=traffic)
    assert_type(model, GaussianHMM)
    assert_type(distributed.fit(PoissonMixture(2), data, method="combine"), PoissonMixture)
    assert_type(traffic.received, list[int])


def mixtures_of_other_families_have_the_same_face() -> None:
    counts = rng.poisson(4.0, (200, 2))
    model = PoissonMixture(2, prior=GammaPrior([[1.5, 2.0]], 1.0), random_state=0)
    assert_type(model.fit(counts, labels=np.full(200, -1)), PoissonMixture)
    assert_type(model.components_, PoissonParams)
    assert_type(model.rates_, npt.NDArray[np.float64])
    assert_type(model.predict(counts), npt.NDArray[np.intp])
    assert_type(model.uncertainty(counts), npt.NDArray[np.float64])
    assert_type(model.elbo(counts, model.predict_proba(counts)), ELBO)
    assert_type(model.relabel(by=lambda m: m.rates_[:, 0]), PoissonMixture)
    merged = latentcore.combine([model, model], [1, 2], align="unweighted")
    assert_type(merged.model, PoissonMixture)
    assert_type(merged.alignment, latentcore.Alignment)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.npz"
        model.save(path)
        assert_type(latentcore.combine([model, path]).model, Any)
        assert_type(latentcore.relative_entropy(model, path), float)
    result = model.bootstrap(counts, 3, kind="parametric", random_state=0)
    assert_type(result.components_se, PoissonParams)
    prior = MixturePrior(np.array([2.0, 2.0]), GammaPrior(np.ones((1, 2)), np.ones((1, 2))))
    PoissonMixture(2, prior=prior, assignment="hard", equal_weights=True)
    PoissonMixture(2, prior="weak", params_init={"rates": [[1.0, 2.0], [3.0, 4.0]]})
    codes = CategoricalMixture(2, n_categories=[3, 2], prior=DirichletPrior(1.5), random_state=0)
    assert_type(codes.fit(rng.integers(0, 2, (50, 2))).n_categories_, tuple[int, ...])
    MultinomialMixture.from_params([1.0], [[0.5, 0.5]]).impute(np.ones((1, 2)))
    GaussianMixture(2, covariance_type="tied_spherical", prior="weak", assignment="hard")
    assert_type(GaussianMixture(2, random_state=0).fit(x).components_, GaussianParams)


def a_mixture_knows_the_parameters_of_its_family() -> None:
    counts = rng.poisson(4.0, (200, 2))
    model = latentcore.Mixture(BuiltInPoisson(), 2, random_state=0)
    assert_type(model, latentcore.Mixture[PoissonParams])
    assert_type(model.fit(counts).components_, PoissonParams)
    assert_type(latentcore.Mixture("poisson", 2), latentcore.Mixture[Any])
    own = latentcore.Mixture(Poisson(), 2, random_state=0)
    assert_type(own.fit(counts[:, :1]).components_, Array)


def streams_are_typed() -> None:
    online = latentcore.Online(lambda step: 1.0 / step, inertia="running", averaging=True)
    model = GaussianMixture(2, online=online, random_state=0)
    assert_type(model.partial_fit(x, sample_weight=np.ones(200), total_weight=1e4), GaussianMixture)
    assert_type(model.n_samples_seen_, int)
    counts = rng.poisson(4.0, (200, 2))
    drawn = latentcore.Online("auto", inertia=FiniteSample(100))
    mixture = latentcore.Mixture(BuiltInPoisson(), 2, online=drawn, random_state=0)
    assert_type(mixture.partial_fit(counts), latentcore.Mixture[PoissonParams])
    assert_type(latentcore.Mixture("poisson", 2, online=0.5), latentcore.Mixture[Any])


def bayesian_mixtures_are_typed_as_the_others() -> None:
    model = BayesianGaussianMixture(3, weight_concentration_prior=0.5, random_state=0)
    assert_type(model.fit(x), BayesianGaussianMixture)
    assert_type(model.partial_fit(x, total_weight=1e4).prune(x), BayesianGaussianMixture)
    assert_type(model.predict(x), npt.NDArray[np.intp])
    assert_type(model.posterior_.components, GaussianPrior)
    assert_type(model.elbo_terms_["entropy"], float)
    density: npt.NDArray[np.floating[Any]] = model.predictive_logpdf(x)
    assert density.shape == (200,)
    counts = rng.poisson(4.0, (200, 2))
    poisson = BayesianMixture(
        BuiltInPoisson(),
        2,
        prior=GammaPrior(np.ones((1, 2)), np.ones((1, 2))),
        tol=1.0,
        random_state=0,
    )
    assert_type(poisson.fit(counts).components_, PoissonParams)
    assert_type(BayesianMixture("bernoulli", 2), BayesianMixture[Any])
    means = GaussianMeansMixture(2, prior_std=9.0, tol=1.0, random_state=0)
    assert_type(means.fit(x).posterior_.components, NormalPrior)


def hidden_markov_models_are_typed_as_mixtures() -> None:
    counts = rng.poisson(4.0, (200, 2))
    topology = Topology.banded(3, start="stationary")
    prior = HMMPrior(np.ones(2), np.ones((2, 2)), GammaPrior(np.ones((1, 2)), np.ones((1, 2))))
    model = PoissonHMM(2, prior=prior, random_state=0)
    assert_type(model.fit(counts, lengths=[50, 150]), PoissonHMM)
    assert_type(model.fit([counts[:50], counts[50:]]).components_, PoissonParams)
    assert_type(model.rates_, npt.NDArray[np.float64])
    assert_type(model.predict(counts), npt.NDArray[np.int32])
    assert_type(model.decode(counts), tuple[float, npt.NDArray[np.int32]])
    assert_type(model.score(counts, groups=np.arange(200) // 100), float)
    assert_type(model.forecast(3, counts).state_probabilities, npt.NDArray[np.float64])
    assert_type(model.sample([3, 4])[1], npt.NDArray[np.int64])
    assert_type(model.filter_update(model.filter_start(), counts[0]).log_likelihood, float)
    assert_type(model.relabel(by=lambda m: m.rates_[:, 0]), PoissonHMM)
    GaussianHMM(3, covariance_type="diag", topology=topology, assignment="hard", prior="weak")
    assert_type(latentcore.HMM("exponential", 2), latentcore.HMM[Any])
    own = latentcore.HMM(Poisson(), 2, random_state=0, max_iter=500)
    assert_type(own.fit(counts[:, :1]).components_, Array)
    gaussians = latentcore.GMMHMM(2, n_mix=2, reg_covar=0.1, tol=1.0, random_state=0).fit(x)
    assert_type(gaussians.weights_, npt.NDArray[np.float64])
    posterior = latentcore.VariationalGaussianHMM(2, stickiness=1.0, tol=100.0, random_state=0)
    assert_type(posterior.fit(x).posterior_, HMMPrior[GaussianPrior])
    assert_type(posterior.elbo_terms_["divergence_of_chain"], float)
    assert_type(posterior.prune(x).n_effective_components_, int)
    assert_type(latentcore.BayesianHMM("bernoulli", 2), latentcore.BayesianHMM[Any])


def layers_fit_together() -> None:
    model = Mixture(Gaussian("full"))
    assert_type(model, Mixture[GaussianParams, GaussianStatistics])
    start = MixtureParams(
        np.array([0.5, 0.5]),
        model.family.maximize(GaussianStatistics(
            np.ones(2), np.array([[0.0, 0.0], [5.0, 5.0]]), np.stack([np.eye(2)] * 2), "full"
        ), None),
    )  # fmt: skip
    assert_type(start, MixtureParams[GaussianParams])
    data = Rows(x)
    stats, log_likelihood = model.expected_statistics(start, data)
    assert_type(stats, MixtureStatistics[GaussianStatistics])
    assert_type(log_likelihood, float)
    assert_type(total([stats, stats]), MixtureStatistics[GaussianStatistics])
    assert_type(stats + 0.5 * stats, MixtureStatistics[GaussianStatistics])
    rule = EM(model)
    fit = engine.run(
        rule, start, engine.expectation(model, data, 64, 1),
        total_weight=len(data), tol=1e-6, max_iter=100,
    )  # fmt: skip
    assert_type(fit, engine.Fit[MixtureParams[GaussianParams]])
    assert fit.converged


@dataclass(frozen=True, slots=True)
class PoissonStatistics(Statistics):
    counts: Array
    sums: Array


@dataclass(frozen=True, slots=True)
class Poisson:
    """A family of a user's own, in NumPy; parameters are the rates, (K, 1)."""

    def log_likelihood(self, params: Array, x: RealArray) -> RealArray:
        log_joint: RealArray = x * np.log(params[:, 0]) - params[:, 0]
        return log_joint

    def expected_statistics(
        self, params: Array | None, x: RealArray, weights: RealArray
    ) -> PoissonStatistics:
        return PoissonStatistics(weights.sum(axis=0, dtype=np.float64), weights.T @ x)

    def maximize(self, stats: PoissonStatistics, previous: Array | None) -> Array:
        rates: Array = stats.sums / stats.counts[:, None]
        return rates

    def model_statistics(self, params: Array, counts: Array) -> PoissonStatistics:
        return PoissonStatistics(counts, counts[:, None] * params)


def a_family_of_ones_own_plugs_in() -> None:
    family: Family[Array, PoissonStatistics] = Poisson()
    model = Mixture(family)
    counts = np.concatenate([rng.poisson(1.0, 200), rng.poisson(9.0, 200)]).astype(float)[:, None]
    data = Rows(counts)
    rates: Array = np.array([[2.0], [6.0]])
    start = MixtureParams(np.array([0.5, 0.5]), rates)
    rule = EM(model)
    fit = engine.run(
        rule, start, engine.expectation(model, data, 100, 1),
        total_weight=len(data), tol=1e-8, max_iter=200,
    )  # fmt: skip
    assert_type(fit.params, MixtureParams[Array])
    assert fit.converged
    assert abs(fit.params.components[1, 0] - 9.0) < 1.0


def errors_have_classes() -> None:
    try:
        kernels.cholesky(-np.eye(2))
    except NumericalError as error:
        assert_type(str(error), str)


if __name__ == "__main__":
    kernels_keep_the_precision_of_the_data()
    an_estimator_is_fitted_and_asked()
    mixtures_of_other_families_have_the_same_face()
    a_mixture_knows_the_parameters_of_its_family()
    streams_are_typed()
    bayesian_mixtures_are_typed_as_the_others()
    hidden_markov_models_are_typed_as_mixtures()
    layers_fit_together()
    a_family_of_ones_own_plugs_in()
    errors_have_classes()
    print("done")
