"""Hidden Markov models fitted to data in parts: files, iterables and clusters give what memory gives."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse
from pyarrow import parquet

import latentcore
from estimators.drawn_rows import arrays_of, with_holes
from estimators.hmm_cases import (
    CASES,
    LENGTHS,
    Case,
    Z,
    cases,
    missing_cases,
    prior_cases,
    quiet,
    sparse_cases,
)
from latentcore import (
    GMMHMM,
    Batches,
    BayesianHMM,
    CategoricalHMM,
    GaussianHMM,
    PoissonHMM,
    Topology,
    VariationalCategoricalHMM,
    VariationalGaussianHMM,
    engine,
)
from latentcore.errors import ImpossibleSequenceError
from latentcore.estimators import survey
from latentcore.families.gaussian import Gaussian
from latentcore.families.mixed import MixtureFamily
from latentcore.parts import LocalParts, Part

LEFT_TO_RIGHT = Topology.left_to_right(2)
STATIONARY = Topology.ergodic(2, equal_stays=True, start="stationary")
CUTS = [[0, 1], [2], [3]]
"""Of the four sequences, those of each part."""
BY_NAME = {str(case): case for case in CASES}


def in_parts(
    x: Any,
    lengths: Any = LENGTHS,
    cuts: Any = CUTS,
    *,
    n_threads: int = 1,
    sample_weight: Any = None,
    labels: Any = None,
) -> LocalParts[Part]:
    """Parts that have these whole sequences each."""
    begins = np.cumsum([0, *lengths])

    def parts() -> Iterator[Part]:
        for number, chosen in enumerate(cuts):
            rows = slice(begins[chosen[0]], begins[chosen[-1] + 1])
            yield Part(
                x[rows],
                None if sample_weight is None else np.asarray(sample_weight)[chosen],
                None if labels is None else labels[rows],
                lengths=[lengths[q] for q in chosen],
                number=number,
            )

    return LocalParts(parts, n_threads)


def learned(model: Any) -> dict[str, Any]:
    """All that a fit says, as arrays by name."""
    found = {
        "startprob": model.startprob_,
        "transmat": model.transmat_,
        "lower_bounds": model.lower_bounds_,
        "n_iter": model.n_iter_,
        "training": np.array(model._training[:3]),
        **dict(arrays_of(model.components_, "")),
    }
    if hasattr(model, "posterior_"):
        for name, law in (("posterior", model.posterior_), ("prior", model.prior_)):
            found |= {f"{name}{key}": value for key, value in arrays_of(law, "")}
        found |= {name: np.asarray(term) for name, term in model.elbo_terms_.items()}
    return found


def assert_equal_fits(ours: Any, theirs: Any, rtol: float = 1e-10) -> None:
    a, b = learned(ours), learned(theirs)
    assert a.keys() == b.keys()
    for name, value in b.items():
        scale = max(1.0, float(np.abs(np.nan_to_num(value)).max(initial=0.0)))
        np.testing.assert_allclose(a[name], value, rtol, rtol * scale, err_msg=name)


# -- equality with the fit in memory -------------------------------------------------------------


@quiet
@cases
@pytest.mark.parametrize(
    "arguments",
    [
        {"n_init": 2},
        {"assignment": "hard"},
        {"topology": LEFT_TO_RIGHT},
        {"topology": STATIONARY},
        {"topology": STATIONARY, "assignment": "hard"},
    ],
    ids=["soft", "hard", "left-to-right", "stationary", "stationary hard"],
)
def test_parts_are_fitted_as_memory_is(case: Case, arguments: dict[str, Any]) -> None:
    model = case.make(2, random_state=0, max_iter=4, **arguments)
    theirs = copy.copy(model).fit(case.x, lengths=LENGTHS)
    assert_equal_fits(model.fit(in_parts(case.x)), theirs)


@quiet
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical", "tied_spherical"])
@pytest.mark.parametrize("prior", [None, "weak"])
@pytest.mark.parametrize("make", [GaussianHMM, GMMHMM])
def test_covariances_of_every_type_are_those_of_memory(
    make: Any, prior: Any, covariance_type: str
) -> None:
    x, arguments = BY_NAME["gaussian"].x, {"covariance_type": covariance_type, "prior": prior}
    if make is GMMHMM:
        arguments["n_mix"] = 2
    model = make(2, random_state=0, max_iter=4, **arguments)
    theirs = copy.copy(model).fit(x, lengths=LENGTHS)
    assert_equal_fits(model.fit(in_parts(x)), theirs)


@quiet
@prior_cases
def test_weak_prior_is_that_of_all_rows_by_weight(case: Case) -> None:
    model = case.make(2, prior="weak", random_state=0, max_iter=4)
    weights: dict[str, Any] = {"sample_weight": np.array([2.0, 1.0, 0.5, 3.0])}
    theirs = copy.copy(model).fit(case.x, lengths=LENGTHS, **weights)
    assert_equal_fits(model.fit(in_parts(case.x, **weights)), theirs)


@quiet
@missing_cases
@pytest.mark.parametrize("known", [0.3, 1.0])
def test_missing_entries_known_states_and_absent_sequences_in_parts(
    case: Case, known: float
) -> None:
    x = with_holes(case.x)
    labels = np.where(np.random.default_rng(1).uniform(size=len(x)) < known, Z, -1)
    x[40] = -3.5  # absent, in a part of its own
    given: dict[str, Any] = {"labels": labels, "sample_weight": np.array([1.0, 0.0, 2.0, 1.0])}
    cuts = [[0], [1], [2, 3]]
    model = case.make(2, random_state=0, max_iter=4)
    theirs = copy.copy(model).fit(x, lengths=LENGTHS, **given)
    assert_equal_fits(model.fit(in_parts(x, cuts=cuts, **given)), theirs)


@quiet
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize(
    ("case", "make"),
    [
        ("gaussian", VariationalGaussianHMM),
        ("gaussian", lambda k, **kw: VariationalGaussianHMM(k, covariance_type="tied", **kw)),
        ("categorical", VariationalCategoricalHMM),
        ("poisson", lambda k, **kw: BayesianHMM("poisson", k, **kw)),
        ("gaussian", lambda k, **kw: BayesianHMM(MixtureFamily(Gaussian("diag"), 2), k, **kw)),
    ],
)
def test_posteriors_and_bounds_are_those_of_memory(case: str, make: Any, missing: bool) -> None:
    x = BY_NAME[case].x.astype(float)
    if missing:
        x[np.random.default_rng(2).uniform(size=len(x)) < 0.2] = np.nan
    weights: dict[str, Any] = {"sample_weight": np.array([1.0, 2.0, 0.0, 1.5])}
    model = make(3, random_state=0, max_iter=5, n_init=2)
    theirs = copy.copy(model).fit(x, lengths=LENGTHS, **weights)
    assert_equal_fits(model.fit(in_parts(x, **weights)), theirs)


@quiet
@sparse_cases
def test_sparse_parts_are_the_whole(case: Case) -> None:
    x = scipy.sparse.csr_array(case.x)
    model = case.make(2, random_state=0, max_iter=4)
    theirs = copy.copy(model).fit(x, lengths=LENGTHS)
    assert_equal_fits(model.fit(in_parts(x)), theirs)


@quiet
def test_numbers_of_all_parts_are_of_the_widest_type() -> None:
    x = BY_NAME["gaussian"].x
    narrow = [Part(x[:60].astype(np.float32), lengths=[40, 1, 19]), Part(x[60:])]
    model = GaussianHMM(2, random_state=0, max_iter=4)
    rounded = np.concatenate([x[:60].astype(np.float32), x[60:]])
    theirs = copy.copy(model).fit(rounded, lengths=LENGTHS)
    assert_equal_fits(model.fit(narrow), theirs)


@quiet
@pytest.mark.parametrize("make", [GaussianHMM, VariationalGaussianHMM, PoissonHMM])
def test_warm_start_goes_on_over_parts(make: Any) -> None:
    x = BY_NAME["poisson"].x
    model = make(2, random_state=0, max_iter=2, warm_start=True).fit(x, lengths=LENGTHS)
    theirs = copy.copy(model).fit(x, lengths=LENGTHS)
    assert_equal_fits(model.fit(in_parts(x)), theirs)


@quiet
@pytest.mark.parametrize("name", ["gaussian", "poisson", "categorical", "gaussian mixtures"])
@pytest.mark.parametrize("prior", [None, "weak"])
def test_parts_that_are_shards_give_the_same_bits_for_any_threads(
    name: str, prior: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = BY_NAME[name]
    monkeypatch.setattr(engine, "rows_per_shard", lambda n_rows, work: 41)
    memory = case.make(2, prior=prior, random_state=0, max_iter=4).fit(case.x, lengths=LENGTHS)
    for n_threads in (1, 3):
        parts = in_parts(case.x, cuts=[[0, 1], [2], [3]], n_threads=n_threads)
        model = case.make(2, prior=prior, random_state=0, max_iter=4).fit(parts)
        a, b = learned(model), learned(memory)
        for key in a:
            np.testing.assert_array_equal(a[key], b[key], err_msg=key)


# -- where the fit begins ------------------------------------------------------------------------


@pytest.fixture
def few_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "rows_in_sample", lambda n_features, n_components: 200)


def long_sequences(n: int = 40, length: int = 100) -> tuple[Any, Any, list[int]]:
    """Rows about 0, then about 8, of sequences that go from left to right; and their states."""
    rng = np.random.default_rng(0)
    states = np.concatenate([np.arange(length) >= rng.integers(30, 70) for _ in range(n)])
    return rng.normal(size=(n * length, 1)) + 8 * states[:, None], states, [length] * n


@pytest.mark.usefixtures("few_sampled")
@pytest.mark.parametrize("n_states", [2, 3])
@pytest.mark.parametrize("labelled", [False, True])
def test_chain_that_never_goes_back_begins_in_order_from_a_sample(
    n_states: int, labelled: bool
) -> None:
    x, _, lengths = long_sequences()
    labels = None
    if labelled:
        labels = np.full(len(x), -1)
        labels[:7] = 0
    topology = Topology.left_to_right(n_states)
    model = GaussianHMM(n_states, topology=topology, max_iter=0, random_state=0)
    cuts = [list(range(begin, begin + 5)) for begin in range(0, 40, 5)]
    model.fit(in_parts(x, lengths, cuts, labels=labels))
    means = np.array(
        [x[np.arange(len(x)) % 100 * n_states // 100 == k].mean() for k in range(n_states)]
    )
    np.testing.assert_allclose(model.means_[:, 0], means, atol=2.0)
    full = GaussianHMM(n_states, topology=topology, random_state=0)
    theirs = copy.copy(full).fit(x, lengths=lengths, labels=labels)
    full.fit(in_parts(x, lengths, cuts, labels=labels))
    assert full.lower_bound_ == pytest.approx(theirs.lower_bound_, rel=1e-4)


@pytest.mark.usefixtures("few_sampled")
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random"])
@pytest.mark.parametrize("labelled", [False, True])
def test_code_that_no_sampled_row_has_is_possible(init_params: Any, labelled: bool) -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(2, size=(4000, 1))
    codes[::50] = 2
    codes[7], codes[2001] = 4, 3
    labels = rng.integers(2, size=4000) if labelled else None
    parts = in_parts(codes, [100] * 40, [[q] for q in range(40)], labels=labels)
    model = CategoricalHMM(2, init_params=init_params, max_iter=20, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(parts)
    assert model.n_categories_ == (5,)
    assert (model.emissionprob_[:, 3:].max(axis=0) > 0).all()


@pytest.mark.usefixtures("few_sampled")
def test_posterior_of_a_sampled_start_counts_all_rows() -> None:
    x, _, lengths = long_sequences()
    cuts = [list(range(begin, begin + 5)) for begin in range(0, 40, 5)]
    model = VariationalGaussianHMM(2, max_iter=0, random_state=0).fit(in_parts(x, lengths, cuts))
    added = (model.posterior_.emissions.mean_precision - model.mean_precision_prior_).sum()
    assert added == pytest.approx(len(x))
    assert model.expected_counts_.sum() == pytest.approx(len(x))
    x[::2] = np.nan
    model.fit(in_parts(x, lengths, cuts))
    added = (model.posterior_.emissions.mean_precision - model.mean_precision_prior_).sum()
    assert added == pytest.approx(len(x) / 2, abs=5 * 20 * np.sqrt(100)), "of 100 drawn rows"
    assert model.expected_counts_.sum() == pytest.approx(len(x))


# -- what parts may be ---------------------------------------------------------------------------


X, _, LONG = long_sequences(8, 60)
NAMES = ["first", "second"]


def frame() -> pa.Table:
    rng = np.random.default_rng(1)
    return pa.table(
        {
            "first": X[:, 0],
            "patient": np.repeat([f"p{n}" for n in range(8)], 60),
            "second": rng.normal(size=480),
            "weight": np.repeat(np.arange(1.0, 9), 60),
            "state": pa.array([0 if n % 60 == 0 else None for n in range(480)]),
        }
    )


def test_parquet_file_is_fitted_by_its_column_of_groups(tmp_path: Path) -> None:
    parquet.write_table(frame(), tmp_path / "rows.parquet", row_group_size=70)
    columns = frame().to_pandas()
    theirs = GaussianHMM(2, random_state=0).fit(
        columns[NAMES], groups=columns["patient"], sample_weight=columns["weight"],
        labels=columns["state"].fillna(-1),
    )  # fmt: skip
    batches = Batches(
        tmp_path / "rows.parquet", batch_size=50, groups="patient", sample_weight="weight",
        labels="state",
    )  # fmt: skip
    ours = GaussianHMM(2, random_state=0).fit(batches)
    assert_equal_fits(ours, theirs)
    assert ours.feature_names_in_.tolist() == NAMES
    assert "Gaussian hidden Markov model" in ours.summary()


def sequences() -> Iterator[Any]:
    return iter(np.split(X, 8))


@pytest.mark.parametrize(
    "given",
    [
        Batches(sequences),
        sequences,
        Batches(np.split(X, 8)),
        Batches([np.split(X, 8)[:3], np.split(X, 8)[3:]]),
        [Part(X[:120], lengths=[60, 60]), Part(np.split(X[120:], 6))],
        Batches(
            [
                Part(X[:130], groups=np.arange(130) // 60),
                Part(X[130:], groups=np.arange(130, 480) // 60),
            ]
        ),
    ],
    ids=["function", "bare function", "sequences", "lists", "parts", "groups"],
)
def test_batch_of_an_iterable_is_a_sequence_or_says_where_they_begin(given: Any) -> None:
    theirs = GaussianHMM(2, random_state=0).fit(X, lengths=LONG)
    assert_equal_fits(GaussianHMM(2, random_state=0).fit(given), theirs)


@pytest.mark.parametrize("make", [GaussianHMM, VariationalGaussianHMM])
@pytest.mark.parametrize(
    ("given", "arguments", "message"),
    [
        (lambda: Batches(X), {}, "X: expected batches that say where sequences begin"),
        (lambda: Batches(X), {"lengths": LONG}, "X: expected batches that say where sequences"),
        (lambda: [Part(X)], {"lengths": LONG}, "lengths: expected None with X in parts"),
        (lambda: [Part(X)], {"groups": LONG}, "groups: expected None with X in parts"),
        (lambda: sequences(), {}, "X: expected batches that can be gone through again and again"),
        (lambda: [Part(X), Part(X[:, [0, 0]])], {}, "part 1: X: expected the same columns"),
        (lambda: [Part(X), Part(X, lengths=[3])], {}, "part 1: lengths: expected a sum of 480"),
        (
            lambda: [Part(X, groups=np.arange(480) // 60), Part(X, groups=np.arange(480) // 60)],
            {},
            "part 1: groups: expected all rows of a sequence one after another, in one part, got 0",
        ),
        (
            lambda: [Part(X), Part(X, sample_weight=np.arange(480))],
            {},
            "part 1: sample_weight: expected one weight in all rows of a sequence",
        ),
        (lambda: [Part(X, sample_weight=[0.0])], {}, "sample_weight: expected a positive weight"),
        (lambda: [Part(X, labels=np.zeros(480))], {}, "labels: expected every label from 0 to"),
        (lambda: [Part(X[:1])], {}, "X: expected at least n_components = 2 rows"),
        (lambda: [Part(np.where(X > 8, np.inf, X))], {}, "part 0: Input X contains infinity"),
    ],
)
def test_wrong_parts_are_refused_and_the_model_stays(
    make: Any, given: Any, arguments: dict[str, Any], message: str
) -> None:
    if "n_components" in message or "every label" in message:
        make = GaussianHMM
    model = make(2, random_state=0).fit(X, lengths=LONG)
    before = dict(model.__dict__)
    with pytest.raises(ValueError, match=f"^{message}"):
        model.fit(given(), **arguments)
    assert model.__dict__ == before


def test_row_observed_in_part_is_named_with_its_part() -> None:
    x = np.column_stack([X, np.random.default_rng(0).normal(size=len(X))])
    x[200, 1] = np.nan
    parts = [Part(x[:180], lengths=[60] * 3), Part(x[180:], lengths=[60] * 5)]
    with pytest.raises(ValueError, match=r"^part 1: X: .* got NaN in row 20, column 1, alone"):
        VariationalGaussianHMM(2, random_state=0).fit(parts)


@pytest.mark.parametrize("weighted", [False, True])
def test_impossible_sequence_is_named_with_its_part(weighted: bool) -> None:
    x = np.tile([[0.0], [1.0]], (60, 1))
    weights = [np.array([1.0, 1.0]), np.array([1.0, 0.0, 1.0])]
    labels = np.tile([0, 1], 60)
    labels[110:112] = 1  # a state that never follows itself
    parts = [
        Part(x[:40], weights[0] if weighted else None, labels[:40], lengths=[20, 20]),
        Part(x[40:], weights[1] if weighted else None, labels[40:], lengths=[20, 20, 40]),
    ]
    model = GaussianHMM(
        2, startprob_init=[0.5, 0.5], transmat_init=[[0.0, 1.0], [1.0, 0.0]], random_state=0
    )
    with pytest.raises(ImpossibleSequenceError, match=r"^part 1, sequence 2, step 30: ") as caught:
        model.fit(parts)
    assert (caught.value.part, caught.value.sequence, caught.value.step) == (1, 2, 30)
    assert pickle.loads(pickle.dumps(caught.value)).args == caught.value.args
    assert "transmat_" not in model.__dict__


@quiet
@pytest.mark.parametrize("make", [GaussianHMM, VariationalGaussianHMM])
@pytest.mark.parametrize(
    ("read", "error"),
    [(2, KeyboardInterrupt), (2, OSError("gone")), (4, KeyboardInterrupt)],
    ids=["interrupted", "lost", "interrupted at the end"],
)
def test_interrupt_leaves_what_the_last_complete_iteration_learned(
    make: Any, read: int, error: Any, tmp_path: Path
) -> None:
    """In the second iteration of three, or in the pass after the last."""
    reads = 0
    read += 3 if make is VariationalGaussianHMM else 2  # survey, sample, and moments for a prior

    def batches() -> Iterator[Any]:
        nonlocal reads
        reads += 1
        yield from np.split(X[:240], 4)
        if reads == read:
            raise error
        yield from np.split(X[240:], 4)

    model = make(2, random_state=0, tol=0.0, max_iter=3)
    steps: list[engine.Progress] = []
    with pytest.raises((KeyboardInterrupt, OSError)):
        model.fit(batches, callback=steps.append)
    assert not model.converged_
    assert steps[-1].n_rows == 480
    assert model.n_iter_ == len(steps) == (3 if read > 5 else 1)
    theirs = make(2, random_state=0, tol=0.0, max_iter=model.n_iter_).fit(X, lengths=LONG)
    for name in ("startprob_", "transmat_", "means_", "covariances_"):
        np.testing.assert_allclose(getattr(model, name), getattr(theirs, name), rtol=1e-9)
    model.save(tmp_path / "model.npz")
    again = latentcore.load(tmp_path / "model.npz").set_params(warm_start=True, max_iter=1)
    assert again.lower_bound_ == model.lower_bound_ == steps[-1].objective
    assert again.fit(X, lengths=LONG).lower_bound_ > model.lower_bound_
    assert "hidden Markov model" in model.summary()


def test_parts_are_not_predicted_with_the_fit() -> None:
    with pytest.raises(TypeError, match=r"^X: expected sequences in memory, got parts"):
        GaussianHMM(2).fit_predict(Batches(sequences))


# -- memory --------------------------------------------------------------------------------------

MAPPED = """
import resource, sys, warnings
import numpy as np
from latentcore import GaussianHMM

warnings.simplefilter("ignore")
x = np.load(sys.argv[1], mmap_mode="r")
model = GaussianHMM(2, covariance_type="diag", max_iter=2, n_threads=1, random_state=0)
model.fit(np.array(x[:9000]))
[now] = [int(l.split()[1]) * 1024 for l in open("/proc/self/status") if l.startswith("VmData")]
resource.setrlimit(resource.RLIMIT_DATA, (now + x.nbytes // 2,) * 2)
print(model.fit(x).means_.mean(axis=1))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux, which limits memory of its own")
def test_long_sequence_is_fitted_as_mapped_and_never_copied(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    levels = np.arange(800_000) // 400 % 2 * 4.0
    np.save(tmp_path / "rows.npy", rng.normal(size=(800_000, 8)) + levels[:, None])
    command = [sys.executable, "-c", MAPPED, str(tmp_path / "rows.npy")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    means = np.sort([float(word) for word in result.stdout.strip(" []\n").split()])
    np.testing.assert_allclose(means, [0.0, 4.0], atol=0.02)
