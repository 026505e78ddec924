"""Models fitted apart, combined: of every class, from files, with weights, against a fit to all rows."""

from __future__ import annotations

import copy
import functools
import pickle
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import latentcore
from estimators import hmm_cases
from estimators.drawn_rows import (
    CODES,
    COLUMNS,
    CONCENTRATIONS,
    COUNTS,
    DIRECTIONS,
    GAMMA_RATES,
    LEVELS,
    PROBABILITIES,
    RATES,
    SHAPES,
    SHARES,
    WEIGHTS,
    arrays_of,
    columns_at_truth,
)
from latentcore import (
    GMMHMM,
    BayesianGaussianMixture,
    BernoulliMixture,
    CategoricalMixture,
    ExponentialMixture,
    GammaMixture,
    GaussianHMM,
    GaussianMixture,
    Mixture,
    MultinomialMixture,
    PoissonHMM,
    PoissonMixture,
    Topology,
    VariationalGaussianHMM,
    VonMisesMixture,
    combine,
    relative_entropy,
)
from latentcore.errors import AmbiguousAlignmentWarning, NotFittedError
from latentcore.families.columns import ColumnsParams, IndependentColumns
from latentcore.families.mixed import MixedParams, MixtureFamily
from latentcore.families.poisson import Poisson, PoissonParams
from laws.numpy_poisson import NumpyPoisson
from laws.numpy_poisson import PoissonParams as NumpyPoissonParams

MEANS = np.array([[0.0, 1.0], [4.0, -3.0]])
MATRICES = np.array([[[1.0, 0.3], [0.3, 2.0]], [[2.0, -0.5], [-0.5, 1.0]]])
COVARIANCES: dict[Any, Any] = {
    "full": MATRICES,
    "tied": MATRICES[0],
    "diag": MATRICES.diagonal(axis1=1, axis2=2),
    "spherical": np.array([1.5, 0.5]),
    "tied_spherical": np.array([1.5, 1.5]),
}

MODELS: dict[str, Callable[[], Any]] = {
    **{
        f"gaussian-{type_}": functools.partial(
            GaussianMixture.from_params, WEIGHTS, MEANS, own, covariance_type=type_
        )
        for type_, own in COVARIANCES.items()
    },
    "poisson": lambda: PoissonMixture.from_params(WEIGHTS, RATES),
    "bernoulli": lambda: BernoulliMixture.from_params(WEIGHTS, PROBABILITIES),
    "exponential": lambda: ExponentialMixture.from_params(WEIGHTS, RATES),
    "categorical": lambda: CategoricalMixture.from_params(WEIGHTS, CODES, n_categories=LEVELS),
    "multinomial": lambda: MultinomialMixture.from_params(WEIGHTS, SHARES, mean_total=12.5),
    "gamma": lambda: GammaMixture.from_params(WEIGHTS, SHAPES, GAMMA_RATES),
    "von mises": lambda: VonMisesMixture.from_params(WEIGHTS, DIRECTIONS, CONCENTRATIONS),
    "columns": lambda: Mixture.from_params(COLUMNS, WEIGHTS, columns_at_truth()),
    "any family": lambda: Mixture.from_params(Poisson(), WEIGHTS, PoissonParams(RATES)),
    **{f"hmm {case}": case.given for case in hmm_cases.CASES if case.name != "a user's own"},
}
every_model = pytest.mark.parametrize("name", MODELS)


def parameters(model: Any) -> dict[str, Any]:
    own = {"startprob_", "transmat_"} if hasattr(model, "transmat_") else {"weights_"}
    return {**{n: getattr(model, n) for n in own}, **dict(arrays_of(model.components_, ""))}


def assert_same(a: Any, b: Any, rtol: float = 1e-12) -> None:
    ours, theirs = parameters(a), parameters(b)
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=rtol, atol=1e-12, err_msg=name)


def mirrored(model: Any) -> Any:
    return copy.deepcopy(model).relabel([1, 0])


# -- copies


@every_model
def test_copies_and_mirrored_copies_give_the_model_back(name: str) -> None:
    model = MODELS[name]()
    found, alignment = combine([mirrored(model), model, model], [1.0, 5.0, 2.0])
    assert type(found) is type(model)
    assert_same(found, model)
    assert alignment.permutations.tolist() == [[1, 0], [0, 1], [0, 1]]
    np.testing.assert_allclose(alignment.divergences, 0.0, atol=1e-12)
    np.testing.assert_allclose(alignment.margins, 1.0, rtol=1e-9)
    np.testing.assert_allclose(alignment.weights, [1 / 8, 5 / 8, 2 / 8], rtol=1e-15)
    assert alignment.ambiguous == ()


@every_model
def test_combination_is_an_estimator_like_the_first(name: str, tmp_path: Path) -> None:
    model = MODELS[name]().set_params(tol=1e-9, random_state=3, warm_start=True)
    before = pickle.dumps(model)
    found, _ = combine([model, mirrored(model)])
    assert pickle.dumps(model) == before
    assert found.get_params().keys() == model.get_params().keys()
    assert (found.tol, found.random_state, found.warm_start) == (1e-9, 3, True)
    x = model.sample(50)[0]
    np.testing.assert_array_equal(found.predict(x), model.predict(x))
    found.save(tmp_path / "model.npz")
    assert_same(latentcore.load(tmp_path / "model.npz"), found, rtol=0)
    assert_same(pickle.loads(pickle.dumps(found)), found, rtol=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warm = copy.deepcopy(found).set_params(max_iter=1).fit(x)
        again = copy.deepcopy(model).set_params(max_iter=1).fit(x)
    assert_same(warm, again, rtol=1e-9)
    assert found.partial_fit(x).n_samples_seen_ == 50


def test_models_may_be_files(tmp_path: Path) -> None:
    a, b = MODELS["poisson"](), PoissonMixture.from_params([0.5, 0.5], RATES[::-1] + 1)
    a.save(tmp_path / "a.npz")
    b.save(tmp_path / "b.npz")
    expected = combine([a, b], [2, 1])
    for models in (
        [tmp_path / "a.npz", str(tmp_path / "b.npz")], [a, tmp_path / "b.npz"], iter([a, b]),
    ):  # fmt: skip
        found = combine(models, [2, 1])
        assert_same(found.model, expected.model, rtol=0)
        assert found.alignment.divergences.tolist() == expected.alignment.divergences.tolist()
    both = relative_entropy(tmp_path / "a.npz", b)
    assert both == relative_entropy(a, b) > 0


def test_one_model_is_its_own_combination() -> None:
    model = MODELS["gaussian-full"]()
    found = combine([model])
    assert_same(found.model, model)
    assert found.alignment.margins.tolist() == [1.0]
    assert found.alignment.objectives[-1] == pytest.approx(0, abs=1e-14)


@pytest.mark.parametrize("share", [1e-260, 1e-292, 1e-300, 5e-324])
def test_shares_next_to_nothing_make_no_divergence_and_no_doubt(share: float) -> None:
    """The combination may have lost them."""
    weights = [1 - share, share]
    mixture = PoissonMixture.from_params(weights, [[1.0], [9.0]])
    chain = PoissonHMM.from_params(weights, [weights, [0.5, 0.5]], [[1.0], [9.0]])
    for model, lengths in ((mixture, None), (chain, [1]), (chain, [9])):
        found, alignment = combine([model, mirrored(model)], [1, 1e-3], lengths=lengths)
        np.testing.assert_allclose(alignment.divergences, 0.0, atol=1e-15)
        np.testing.assert_allclose(alignment.margins, 1.0, rtol=1e-9)
        assert_same(found, model)
        assert relative_entropy(model, found, lengths=lengths) == 0
    without = PoissonMixture.from_params([1.0, 0.0], [[1.0], [9.0]])
    assert (
        relative_entropy(PoissonMixture.from_params([1 - 1e-200, 1e-200], [[1.0], [9.0]]), without)
        == np.inf
    )


# -- what is combined


def test_weighted_means_are_those_of_expected_statistics() -> None:
    """By hand: counts, first and second moments, each with the weights of models and components."""
    a = GaussianMixture.from_params([0.25, 0.75], [[0.0], [8.0]], [[[1.0]], [[4.0]]])
    b = GaussianMixture.from_params([0.5, 0.5], [[9.0], [1.0]], [[[2.0]], [[3.0]]])
    found, alignment = combine([a, b], [3, 1])
    shares = np.array([[3 * 0.25, 0.5], [3 * 0.75, 0.5]])
    means, variances = np.array([[0, 1.0], [8, 9]]), np.array([[1, 3.0], [4, 2]])
    mean = (shares * means).sum(axis=1) / shares.sum(axis=1)
    second = (shares * (variances + means**2)).sum(axis=1) / shares.sum(axis=1)
    np.testing.assert_allclose(found.weights_, shares.sum(axis=1) / 4, rtol=1e-14)
    np.testing.assert_allclose(found.means_[:, 0], mean, rtol=1e-14)
    np.testing.assert_allclose(found.covariances_[:, 0, 0], second - mean**2, rtol=1e-13)
    assert alignment.permutations.tolist() == [[0, 1], [1, 0]]
    apart = [relative_entropy(m, found) for m in (a, b.relabel([1, 0]))]
    np.testing.assert_allclose(alignment.divergences, apart, rtol=1e-12)
    assert alignment.objectives[-1] == pytest.approx((3 * apart[0] + apart[1]) / 4, rel=1e-12)


def test_weights_are_the_rows_seen_by_default() -> None:
    x = MODELS["poisson"]().set_params(random_state=0).sample(400)[0]
    halves = x[::2], x[1::2]
    fitted = PoissonMixture(2, random_state=0, tol=1e-8, max_iter=500)
    fitted.fit(halves[0], sample_weight=np.full(200, 1.5))
    streamed = MODELS["poisson"]()
    for batch in (halves[1][:60], halves[1][60:100]):
        streamed.partial_fit(batch)
    found, alignment = combine([fitted, streamed])
    np.testing.assert_allclose(alignment.weights, [300 / 400, 100 / 400], rtol=1e-14)
    assert found.n_samples_seen_ == 400
    more = combine([found, fitted])
    np.testing.assert_allclose(more.alignment.weights, [4 / 7, 3 / 7], rtol=1e-14)
    unknown = combine([fitted, MODELS["poisson"]()])
    assert unknown.alignment.weights.tolist() == [0.5, 0.5]
    assert not hasattr(unknown.model, "n_samples_seen_")


def test_a_stream_goes_on_as_after_a_fit_to_all_rows() -> None:
    """A batch moves it by the share of a step as late as all those rows make it."""
    x = MODELS["poisson"]().set_params(random_state=0).sample(5000)[0]
    models = [PoissonMixture(2, random_state=0).fit(part) for part in (x[::2], x[1::2])]
    found = combine(models).model
    fitted = copy.deepcopy(found).set_params(warm_start=True, max_iter=0).fit(x)
    batch = x[:100] + 3
    assert_same(found.partial_fit(batch), fitted.partial_fit(batch), rtol=1e-10)


def test_rows_seen_by_chains_are_rows_though_streams_count_sequences() -> None:
    x = MODELS["hmm poisson"]().set_params(random_state=0).sample(120)[0]
    streamed = PoissonHMM(2, random_state=0).partial_fit(x, lengths=[60, 60])
    fitted = PoissonHMM(2, random_state=0).fit(x[:40], lengths=[20, 20])
    assert combine([streamed, fitted]).alignment.weights.tolist() == [0.75, 0.25]


def test_labels_are_matched_as_asked() -> None:
    a, b = MODELS["poisson"](), mirrored(MODELS["poisson"]())
    as_they_are, none = combine([a, b], align="none")
    assert none.permutations.tolist() == [[0, 1], [0, 1]]
    np.testing.assert_allclose(as_they_are.weights_, [0.5, 0.5])
    assert none.ambiguous == (0, 1)
    given, alignment = combine([a, b], align=[[1, 0], [0, 1]])
    assert_same(given, b)
    assert alignment.permutations.tolist() == [[1, 0], [0, 1]]


def test_labels_are_known_to_be_the_best_only_where_all_were_looked_at() -> None:
    model, mixed = MODELS["poisson"](), MODELS["hmm gaussian mixtures"]()
    assert combine([model]).alignment.exhaustive
    assert combine([model, mirrored(model), model]).alignment.exhaustive
    for align in ("none", "unweighted", [[0, 1], [0, 1]]):
        assert not combine([model, model], align=align).alignment.exhaustive
    assert not combine([mixed, mixed]).alignment.exhaustive  # labels inside its states


def test_unweighted_matching_is_for_weights_that_mean_nothing() -> None:
    components = [[0.0], [2.4]], [[[1.0]], [[1.0]]]
    a = GaussianMixture.from_params([0.999, 0.001], *components)
    b = GaussianMixture.from_params([0.001, 0.999], *components)
    with pytest.warns(AmbiguousAlignmentWarning):
        found, alignment = combine([a, b], align="unweighted")
    assert_same(found, GaussianMixture.from_params([0.5, 0.5], *components))
    assert alignment.permutations.tolist() == [[0, 1], [0, 1]]
    assert combine([a, b]).alignment.permutations.tolist() == [[0, 1], [1, 0]]


def test_labels_that_might_as_well_be_others_are_told() -> None:
    a = GaussianMixture.from_params([0.5, 0.5], [[0.0], [1.0]], np.ones((2, 1, 1)))
    b = GaussianMixture.from_params([0.5, 0.5], [[0.45], [0.55]], np.ones((2, 1, 1)))
    with pytest.warns(AmbiguousAlignmentWarning, match=r"models \[0, 1\]: two components"):
        alignment = combine([a, b]).alignment
    assert alignment.margins == pytest.approx(1 - 0.45**2 / 0.55**2, rel=1e-9)
    apart = GaussianMixture.from_params([0.5, 0.5], [[0.3], [0.7]], np.ones((2, 1, 1)))
    assert combine([a, apart]).alignment.ambiguous == ()


# -- against one fit to all


def shards(seed: int, n: int, n_machines: int) -> tuple[Any, list[Any]]:
    rng = np.random.default_rng(seed)
    y = rng.choice(3, size=n, p=[0.5, 0.3, 0.2])
    means, scales = np.array([[0, 0], [4, 1], [-2, 5.0]]), np.array([1.0, 1.5, 0.7])
    x = means[y] + scales[y, None] * rng.normal(size=(n, 2))
    return x, np.array_split(x, n_machines)


def labelled_as(model: Any, other: Any) -> Any:
    """A copy of the other with the labels of the model."""
    order = combine([model, other], [1, 1e-9]).alignment.permutations[1]
    return copy.deepcopy(other).relabel(order)


def test_combined_fits_of_shards_approach_the_fit_to_all_rows() -> None:
    """Their distance falls as 1 / n^2, faster than that of either to the truth; n rows each."""
    distances = []
    for n in (2_000, 32_000):
        x, parts = shards(5, n, 4)
        pooled = GaussianMixture(3, random_state=0, tol=1e-8, max_iter=500).fit(x)
        models = [
            GaussianMixture(3, random_state=m, tol=1e-8, max_iter=500).fit(part)
            for m, part in enumerate(parts)
        ]
        found, alignment = combine(models)
        assert alignment.ambiguous == ()
        distances.append(relative_entropy(labelled_as(found, pooled), found))
        own = [relative_entropy(labelled_as(m, pooled), m) for m in models]
        assert distances[-1] < 0.1 * min(own)
    assert distances[1] < distances[0] / 16


def test_combined_chains_of_shards_approach_the_fit_to_all_sequences() -> None:
    truth = GaussianHMM.from_params(
        [0.5, 0.3, 0.2],
        [[0.8, 0.1, 0.1], [0.1, 0.7, 0.2], [0.3, 0.1, 0.6]],
        [[0.0], [4.0], [9.0]], np.ones((3, 1, 1)), random_state=0,
    )  # fmt: skip
    x = np.vstack([truth.set_params(random_state=q).sample(50)[0] for q in range(160)])
    fit: dict[str, Any] = {"tol": 1e-8, "max_iter": 500}
    pooled = GaussianHMM(3, random_state=0, **fit).fit(x, lengths=[50] * 160)
    models = [
        GaussianHMM(3, random_state=m, **fit).fit(part, lengths=[50] * 40)
        for m, part in enumerate(np.split(x, 4))
    ]
    for lengths in ([50], None):
        found, alignment = combine(models, lengths=lengths)
        assert alignment.ambiguous == ()
        distance = relative_entropy(labelled_as(found, pooled), found, lengths=lengths)
        own = [relative_entropy(labelled_as(m, pooled), m, lengths=lengths) for m in models]
        assert distance < 0.1 * min(own)
    assert found.partial_fit(x[:50]).n_samples_seen_ == 8050


# -- what has to stay


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical", "tied_spherical"])
def test_a_floor_is_not_added_again(covariance_type: Any) -> None:
    x = np.random.default_rng(0).normal(size=(200, 2))
    arguments = {"covariance_type": covariance_type, "reg_covar": 0.5, "random_state": 0}
    models = [
        GaussianMixture(2, **arguments).fit(x),
        GaussianHMM(2, **arguments).fit(x),
        GMMHMM(2, n_mix=2, max_iter=3, tol=1e6, **arguments).fit(x),
    ]
    for model in models:
        assert_same(combine([model, model], lengths=None).model, model)


def test_what_the_user_sees_is_as_in_the_first_model() -> None:
    x = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["a", "b"])
    model = GaussianMixture(2, random_state=0, equal_weights=True).fit(x.astype(np.float32))
    found, _ = combine([model, model])
    assert found.means_.dtype == found.weights_.dtype == np.float32
    assert found.feature_names_in_.tolist() == ["a", "b"]
    np.testing.assert_allclose(found.means_, model.means_, rtol=1e-6)
    np.testing.assert_array_equal(found.weights_, [0.5, 0.5])
    assert "GaussianMixture" in repr(found)
    assert "Gaussian mixture: K = 2" in found.summary()
    weak = PoissonMixture(2, random_state=0, prior="weak").fit(COUNTS)
    streamed = combine([weak, weak]).model.partial_fit(COUNTS[:9])
    assert np.isfinite(streamed.rates_).all()


def gaussian_chain(transmat: Any, topology: Topology | None, startprob: Any = None) -> GaussianHMM:
    n = len(transmat)
    startprob = np.eye(n)[0] if startprob is None else startprob
    model = GaussianHMM.from_params(
        startprob, transmat, 4.0 * np.arange(n)[:, None], np.ones((n, 1, 1))
    )
    return model.set_params(topology=topology)


def test_topologies_are_kept() -> None:
    ahead = Topology.left_to_right(3, equal_stays=True)
    models = [gaussian_chain([[p, 1 - p, 0], [0, p, 1 - p], [0, 0, 1]], ahead) for p in (0.5, 0.9)]
    with pytest.raises(ValueError, match=r"lengths: .* leaves the states \[0, 1\] for good"):
        combine(models)
    found, alignment = combine(models, lengths=[10, 20])
    assert alignment.permutations.tolist() == [[0, 1, 2]] * 2
    ahead.check_law(found.startprob_, found.transmat_)
    stays = found.transmat_[0, 0]
    assert 0.5 < stays < 0.9
    assert found.transmat_[1, 1] == pytest.approx(stays, rel=1e-12)
    assert found.topology == ahead


@pytest.mark.parametrize("lengths", [None, [7]])
def test_a_stationary_start_stays_stationary_and_minimises(lengths: Any) -> None:
    topology = Topology(start="stationary")
    laws = [[0.8, 0.2], [0.75, 0.25]]
    rows = [[[0.9, 0.1], [0.4, 0.6]], [[0.8, 0.2], [0.6, 0.4]]]
    models = [gaussian_chain(own, topology, law) for own, law in zip(rows, laws, strict=True)]
    found = combine(models, lengths=lengths).model
    np.testing.assert_allclose(found.startprob_ @ found.transmat_, found.startprob_, rtol=1e-10)

    def objective(p: float, q: float) -> float:
        law = np.array([q, p]) / (p + q)
        other = gaussian_chain([[1 - p, p], [q, 1 - q]], topology, law)
        return sum(relative_entropy(m, other, lengths=lengths) for m in models)

    p, q = found.transmat_[0, 1], found.transmat_[1, 0]
    least = objective(p, q)
    for dp, dq in ((1e-3, 0), (-1e-3, 0), (0, 1e-3), (0, -1e-3), (1e-3, 1e-3)):
        assert objective(p + dp, q + dq) > least


def test_relative_entropy_is_that_of_joint_distributions() -> None:
    a = PoissonMixture.from_params([0.25, 0.75], [[1.0], [9.0]])
    b = PoissonMixture.from_params([0.5, 0.5], [[2.0], [8.0]])
    kl = [r * np.log(r / s) - r + s for r, s in ((1, 2), (9, 8))]
    expected = 0.25 * (np.log(0.5) + kl[0]) + 0.75 * (np.log(1.5) + kl[1])
    assert relative_entropy(a, b) == pytest.approx(expected, rel=1e-13)
    assert relative_entropy(a, a) == 0
    never = PoissonMixture.from_params([0.5, 0.5], [[0.0], [8.0]])
    assert relative_entropy(a, never) == np.inf
    x, y = MODELS["hmm poisson"](), mirrored(MODELS["hmm poisson"]())
    longer, shorter = (relative_entropy(x, y, lengths=n) for n in (301, 300))
    assert longer - shorter == pytest.approx(relative_entropy(x, y), rel=1e-10)


def test_a_users_family_is_combined_if_it_tells_relative_entropies() -> None:
    class Telling(NumpyPoisson):
        def relative_entropy(self, a: Any, b: Any) -> Any:
            return Poisson().relative_entropy(a, b)

    def model(family: Any) -> Any:
        return Mixture.from_params(family, WEIGHTS, NumpyPoissonParams(RATES))

    assert_same(
        combine([mirrored(model(Telling())), model(Telling())], [1, 2]).model, model(Telling())
    )
    with pytest.raises(TypeError, match="family: expected one with a method 'relative_entropy'"):
        combine([model(NumpyPoisson()), model(NumpyPoisson())])


# -- bad input


def of(rates: Any, **arguments: Any) -> PoissonMixture:
    return PoissonMixture.from_params(np.full(len(rates), 1 / len(rates)), rates).set_params(
        **arguments
    )


TWO = of([[1.0], [5.0]])
COLUMN_NAMES = pd.DataFrame(COUNTS, columns=["a", "b", "c"])


@pytest.mark.parametrize(
    ("models", "arguments", "error", "message"),
    [
        ([], {}, ValueError, "models: expected at least one model, got none"),
        ("a.npz", {}, TypeError, "models: expected a sequence of models or paths, got 'a.npz'"),
        (TWO, {}, TypeError, "models: expected a sequence of models or paths, got Poisson"),
        ([TWO, 3], {}, TypeError, r"models\[1\]: expected a mixture or a hidden Markov model, got 3"),
        ([TWO, PoissonMixture(2)], {}, NotFittedError, r"models\[1\]: This PoissonMixture .* not fit"),
        ([TWO, MODELS["hmm poisson"]()], {}, ValueError, r"models\[1\]: expected the class of models"),
        ([TWO, of([[1.0]] * 3)], {}, ValueError, r"the n_components of models\[0\], 2, got 3"),
        ([TWO, of([[1.0, 2], [3, 4]])], {}, ValueError, r"the number of features .*, 1, got 2"),
        ([TWO, of([[1.0], [5.0]], equal_weights=True)], {}, ValueError, "the equal_weights of models"),
        ([MODELS["gaussian-full"](), MODELS["gaussian-diag"]()], {}, ValueError,
         r"models\[1\]: expected the family .*'full'.* got .*'diag'"),
        ([MODELS["categorical"](),
          CategoricalMixture.from_params([1 / 2] * 2, [[1 / 3] * 3 + [1 / 2] * 2] * 2, n_categories=(3, 2))],
         {}, ValueError, r"the family of models\[0\], Categorical\(levels=\(2, 3\)\), got"),
        ([MODELS["hmm poisson"](),
          MODELS["hmm poisson"]().set_params(topology=Topology(start="stationary"))],
         {"lengths": [3]}, ValueError, r"models\[1\]: expected the topology of models\[0\]"),
        ([TWO] * 2, {"weights": [1, 0]}, ValueError, r"weights: expected finite numbers > 0, got 0 for models\[1\]"),
        ([TWO] * 2, {"weights": [-1, 2]}, ValueError, r"> 0, got -1 for models\[0\]"),
        ([TWO] * 2, {"weights": [1, np.nan]}, ValueError, r"> 0, got nan for models\[1\]"),
        ([TWO] * 2, {"weights": [1, 2, 3]}, ValueError, "weights: expected 2 numbers, one for each"),
        ([TWO] * 2, {"weights": "rows"}, ValueError, "weights: expected 2 numbers, one for each"),
        ([TWO] * 2, {"weights": [[1], [1, 2]]}, ValueError, r"weights: expected an array, got \[\[1\], \[1, 2\]\]"),
        ([TWO] * 2, {"align": [[0, 1], [0]]}, ValueError, "align: expected an array, got"),
        ([TWO] * 2, {"align": "best"}, ValueError, "align: expected 'auto', .*, got 'best'"),
        ([TWO] * 2, {"align": [[0, 1], [0, 0]]}, ValueError, r"align: expected permutations of 0 to 1"),
        ([TWO] * 2, {"align": [[0, 1]]}, ValueError, r"of shape \(2, 2\)"),
        ([TWO] * 2, {"lengths": [3]}, TypeError, "lengths: expected None for a mixture, got"),
        ([MODELS["hmm poisson"]()] * 2, {"lengths": [0]}, ValueError, "lengths: expected integers >= 1"),
        ([MODELS["hmm poisson"]()] * 2, {"lengths": [1.5]}, ValueError, "lengths: expected integers"),
    ],
)  # fmt: skip
def test_bad_input_is_named(models: Any, arguments: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        combine(models, **arguments)


def test_weights_of_any_numbers_are_shares_in_float64() -> None:
    for dtype in (np.float32, np.int8, np.float64):
        shares = combine([TWO] * 2, np.array([1, 2], dtype)).alignment.weights
        np.testing.assert_allclose(shares, [1 / 3, 2 / 3], rtol=1e-15)
    assert shares.dtype == np.float64


@dataclass(frozen=True)
class OfArrays(Poisson):
    """A user's family, whose equality is an array."""

    sizes: Any = None


def test_families_that_cannot_be_compared_are_taken_for_the_same() -> None:
    models = [
        Mixture.from_params(OfArrays(np.ones(2)), WEIGHTS, PoissonParams(RATES)) for _ in range(2)
    ]
    assert_same(combine(models).model, models[0])


def test_mixtures_in_columns_have_no_labels_inside() -> None:
    family = IndependentColumns([(MixtureFamily(Poisson(), 2), [1]), (Poisson(), [0])])
    shares, rates = np.array([[0.3, 0.7], [0.6, 0.4]]), np.array([[1.0], [9.0], [3.0], [20.0]])

    def model(order: list[int]) -> Any:
        inner = PoissonParams(rates.reshape(2, 2)[:, order].reshape(4, 1))
        parts = MixedParams(shares[:, order], inner), PoissonParams(RATES[:, :1])
        return Mixture.from_params(family, WEIGHTS, ColumnsParams(parts))

    assert_same(combine([model([0, 1]), model([1, 0])]).model, model([0, 1]))


def test_feature_names_have_to_be_the_same() -> None:
    named = PoissonMixture(2, random_state=0).fit(COLUMN_NAMES)
    for other in (
        PoissonMixture(2, random_state=0).fit(COUNTS),
        PoissonMixture(2, random_state=0).fit(COLUMN_NAMES.rename(columns={"c": "d"})),
    ):
        with pytest.raises(ValueError, match=r"models\[1\]: expected the feature names of models"):
            combine([named, other])


def test_posteriors_are_refused_with_what_to_do_instead() -> None:
    x = np.random.default_rng(0).normal(size=(40, 1))
    for model in (
        BayesianGaussianMixture(2, max_iter=2, tol=1e6, random_state=0).fit(x),
        VariationalGaussianHMM(2, max_iter=2, tol=1e6, random_state=0).fit(x),
    ):
        with pytest.raises(TypeError, match=r"models\[0\]: .*fit models with a prior"):
            combine([model, model])
        with pytest.raises(TypeError, match=r"models\[0\]: expected a model with parameters"):
            relative_entropy(model, model)


def test_missing_scipy_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "scipy.optimize", None)
    with pytest.raises(ImportError, match=r"pip install 'latentcore\[scipy\]'"):
        combine([TWO, TWO])
    assert_same(combine([TWO, TWO], align="none").model, TWO)
    assert combine([MODELS["hmm poisson"]()] * 2).alignment.ambiguous == ()
