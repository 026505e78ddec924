"""Models fitted apart, combined into one; and how far apart models are."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, Literal, NamedTuple, TypeVar, overload

import numpy as np
import numpy.typing as npt

from latentcore.assignment import Order
from latentcore.errors import AmbiguousAlignmentWarning, NotFittedError
from latentcore.estimators.base import Estimator
from latentcore.estimators.bayesian_base import BayesianEstimator
from latentcore.estimators.bayesian_hmm_base import BayesianHMMEstimator
from latentcore.estimators.components import reordered
from latentcore.estimators.hmm_base import HMMEstimator
from latentcore.estimators.mixture_base import MixtureEstimator, outcome
from latentcore.estimators.mixture_stream import after_fit
from latentcore.estimators.online import Stream
from latentcore.estimators.saved import load
from latentcore.families.columns import IndependentColumns
from latentcore.families.mixed import MixedParams, MixtureFamily, numbers_of
from latentcore.floors import without_floor
from latentcore.protocols import Array, LabelledModel, Lengths
from latentcore.rules.combine import CLEAR, Combination, aligned, as_ordered, margins
from latentcore.structures.hmm import HMM
from latentcore.structures.matching import HMMLabels, MixtureLabels
from latentcore.structures.mixture import Mixture

__all__ = ["Align", "Alignment", "Combined", "combine", "relative_entropy"]

M = TypeVar("M", bound=Estimator)

Align = Literal["auto", "unweighted", "none"]
Orders = Sequence[Sequence[int]] | npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Alignment:
    """How the labels of M models with K components each were matched.

    Attributes
    ----------
    weights : (M,)
        Of the models, summing to one.
    permutations : (M, K)
        Component ``permutations[m, k]`` of model m became part of component k of the combination.
    divergences : (M,)
        Joint relative entropies of the models to the combination, nats: of a row, or of a sequence of the ``lengths``
        given. The combination has the least weighted mean of these.
    margins : (M,)
        How clear the labels of each model are, beside those of all the others combined, from -1 to 1:
        ``(d' - d) / max(d, d')``, where d is the symmetrised divergence that two components have to their partners, and
        d' that after an exchange of the two; the least over pairs of components. 1: an exchange would lose everything;
        0 or less: it would do as well.
    ambiguous : tuple of int
        Models whose margin is below 1/3.
    objectives : tuple of float
        The weighted mean of the divergences, of each combination on the way to this one.
    exhaustive : bool
        It is known that no other labels make the mean of the divergences smaller: a search through all of them came to
        its end. Otherwise the labels are the best of those that were tried, or those that were asked for.
    """

    weights: Array
    permutations: npt.NDArray[np.intp]
    divergences: Array
    margins: Array
    ambiguous: tuple[int, ...]
    objectives: tuple[float, ...]
    exhaustive: bool


class Combined(NamedTuple, Generic[M]):
    """A combination of models, and how their labels were matched."""

    model: M
    alignment: Alignment


@overload
def combine(
    models: Iterable[M],
    weights: npt.ArrayLike | None = None,
    *,
    align: Align | Orders = "auto",
    lengths: npt.ArrayLike | None = None,
) -> Combined[M]: ...
@overload
def combine(
    models: Iterable[Estimator | str | os.PathLike[str]],
    weights: npt.ArrayLike | None = None,
    *,
    align: Align | Orders = "auto",
    lengths: npt.ArrayLike | None = None,
) -> Combined[Any]: ...


def combine(
    models: Iterable[Any],
    weights: npt.ArrayLike | None = None,
    *,
    align: Any = "auto",
    lengths: npt.ArrayLike | None = None,
) -> Combined[Any]:
    """Combine models that were fitted apart, without their data, into one model.

    It is the one of least weighted relative entropy from all, of joint distributions of rows and their components (Amid
    & Warmuth 2020), and has the weighted mean of their expected statistics. Models fitted to parts of data make nearly
    what one fit to all of it does, if each part was enough to tell the components.

    Parameters
    ----------
    models : sequence of estimators, or of paths of saved ones
        Mixtures or hidden Markov models of one class and family, with as many components and features.
    weights : (M,), > 0, optional
        Of the models. By default the rows that each has seen, by weight, where all of them know; else equal ones.
    align : {"auto", "unweighted", "none"} or (M, K) integers
        Which components are the same. "auto" matches the joint distributions: to the model of largest weight, then to
        the combination, until that gets no better; and with more effort where labels are not clear. "unweighted"
        matches the components alone, whatever their weights or transitions, to the model of largest weight. "none"
        takes the labels as they are. Integers are given permutations: component ``align[m, k]`` of model m becomes
        component k.
    lengths : (Q,) integers, optional
        Hidden Markov models: of sequences over which states and transitions are weighed, with equal probability. By
        default those of an endless sequence, in which every state has to come back.

    Returns
    -------
    model : estimator
        Of the class and with the arguments of the first model. It predicts, is saved, and learns on. A prior or a
        variance floor has no part in it but what it has in the models.
    alignment : Alignment

    Raises
    ------
    ValueError
        Models of different families, shapes or topologies; weights that are not positive; a state that does not come
        back, where there are no lengths.
    TypeError
        A model of another kind, or a family without ``relative_entropy``.
    NotFittedError
        A model has no parameters.
    ImportError
        Components are to be matched, and SciPy is not installed.

    Warns
    -----
    AmbiguousAlignmentWarning
        Two components of a model might as well be exchanged; see ``Alignment.margins``.

    Notes
    -----
    Two mixtures are matched by a linear assignment, two hidden Markov models by a quadratic one: up to 7 states all
    orders are looked at; for more, exchanges of two states improve 102 orders to begin with, and the best end counts.

    The labels of M models together are harder. Where those that matching ends with are not clear, it begins at up to
    eight other models as well, and other labels of one model at a time are tried. Then a search through all labels
    (branch and bound) proves the best, or gives up: it ends for certain for up to 5 models of 3 components, 3 of 4 and
    2 of 6, and often for more. Both ask for at most 8000 relative entropies, of some 0.1 ms each, and for a tenth of
    that where labels are clear. ``Alignment.exhaustive`` tells how it ended.

    Examples
    --------
    >>> import numpy as np
    >>> from latentcore import PoissonMixture, combine
    >>> a = PoissonMixture.from_params([0.5, 0.5], [[1.0], [9.0]])
    >>> b = PoissonMixture.from_params([0.5, 0.5], [[11.0], [3.0]])
    >>> model, alignment = combine([a, b])
    >>> model.rates_[:, 0]
    array([ 2., 10.])
    >>> alignment.permutations
    array([[0, 1],
           [1, 0]])
    """
    given = _models(models)
    first = given[0]
    shares, seen = _shares(weights, given)
    labelled = _labelled(first, _lengths(first, lengths))
    params = [model._params() for model in given]
    n_components = _n_components(first)
    orders = _orders(align, len(given), n_components)
    found: Combination[Any] = (
        aligned(labelled, params, shares, n_components, weighted=align == "auto")
        if orders is None
        else as_ordered(labelled, params, shares, orders, params[int(shares.argmax())])
    )
    alignment = _alignment(labelled, found, shares, _labels_inside(first._family()))
    if alignment.ambiguous and orders is None:
        warnings.warn(
            f"models {list(alignment.ambiguous)}: two components might as well be exchanged (see the margins of the "
            "alignment); the combination may mix different components",
            AmbiguousAlignmentWarning,
            stacklevel=2,
        )
    return Combined(_estimator(first, found.params, seen), alignment)


def relative_entropy(model_a: Any, model_b: Any, *, lengths: npt.ArrayLike | None = None) -> float:
    """KL(model_a || model_b) of the joint distributions of rows and their components, nats.

    Labels count: component k of the one stands for component k of the other. It is at least the relative entropy of
    rows alone, which has no closed form. States that are mixtures themselves have components whose labels do not count:
    those are taken that make it least.

    Parameters
    ----------
    model_a, model_b : estimators, or paths of saved ones
        As in ``combine``.
    lengths : (Q,) integers, optional
        Hidden Markov models: the relative entropy is that of a sequence whose length is any of these, with equal
        probability. By default by row of an endless sequence, in which every state of ``model_a`` has to come back.

    Returns
    -------
    float
        >= 0; infinite where ``model_b`` forbids what happens in ``model_a`` more often than 1e-250. Of a mixture that
        of one row.

    Raises
    ------
    ValueError, TypeError, NotFittedError
        As in ``combine``.

    Examples
    --------
    >>> from latentcore import PoissonMixture, relative_entropy
    >>> a = PoissonMixture.from_params([0.5, 0.5], [[1.0], [9.0]])
    >>> b = PoissonMixture.from_params([0.5, 0.5], [[1.0], [8.0]])
    >>> round(relative_entropy(a, b), 4)
    0.03
    """
    a, b = _models([model_a, model_b])
    return _labelled(a, _lengths(a, lengths)).relative_entropy(a._params(), b._params())


# -- models ---------------------------------------------------------------------------------------


def _models(models: Any) -> list[Any]:
    """Fitted estimators of one kind."""
    if isinstance(models, str | os.PathLike) or not isinstance(models, Iterable):
        raise TypeError(f"models: expected a sequence of models or paths, got {models!r}")
    given = [load(m) if isinstance(m, str | os.PathLike) else m for m in models]
    if not given:
        raise ValueError("models: expected at least one model, got none")
    for m, model in enumerate(given):
        _check_kind(model, f"models[{m}]")
    first = _described(given[0])
    for m, model in enumerate(given):
        for what, value in _described(model).items():
            if not _same(value, first[what]):
                raise ValueError(
                    f"models[{m}]: expected the {what} of models[0], {first[what]!r}, got {value!r}"
                )
    return given


def _check_kind(model: Any, name: str) -> None:
    if isinstance(model, BayesianEstimator | BayesianHMMEstimator):
        raise TypeError(
            f"{name}: expected a model with parameters, got {type(model).__name__}, whose posteriors say how much was "
            "seen, so that their mean is not that of all data; fit models with a prior (prior='weak') and combine "
            "these, or fit one Bayesian model to all parts"
        )
    if not isinstance(model, MixtureEstimator | HMMEstimator):
        raise TypeError(f"{name}: expected a mixture or a hidden Markov model, got {model!r}")
    try:
        model._params()
    except NotFittedError as error:
        raise type(error)(f"{name}: {error}") from None


def _described(model: Any) -> dict[str, Any]:
    """What models need to have in common, by name."""
    names = getattr(model, "feature_names_in_", None)
    described = {
        "class": type(model).__name__,
        "n_components": _n_components(model),
        "number of features": model._n_features(),
        "feature names": None if names is None else list(names),
        "family": without_floor(model._family()),
    }
    if isinstance(model, HMMEstimator):
        return described | {"topology": model._topology()}
    return described | {"equal_weights": model.equal_weights}


def _same(value: Any, other: Any) -> bool:
    """Families that users wrote need not say when they are equal, nor do those of arrays."""
    equality: Any = type(value).__eq__
    if type(value) is type(other) and equality is object.__eq__:
        return True
    try:
        return bool(value == other)
    except ValueError:  # the truth of arrays
        return True


def _n_components(model: Any) -> int:
    params = model._params()
    return len(params.initial if isinstance(model, HMMEstimator) else params.weights)


def _labelled(model: Any, lengths: Lengths | None) -> LabelledModel[Any, Any]:
    """The model as the rule sees it, without a floor, which statistics of models have inside."""
    family = without_floor(model._family())
    relabel = partial(_relabelled, family)
    if isinstance(model, HMMEstimator):
        return HMMLabels(HMM(family, topology=model._topology()), relabel, lengths)
    return MixtureLabels(Mixture(family, equal_weights=model.equal_weights), relabel)


def _relabelled(family: Any, params: Any, order: Order, like: Any) -> Any:
    """Parameters with component ``order[k]`` in place k, and components inside of it as they are in ``like``."""
    return _as_inside(family, reordered(family, params, order), like)


def _as_inside(family: Any, params: Any, like: Any) -> Any:
    if isinstance(family, IndependentColumns):
        triples = zip(family.parts, params.parts, like.parts, strict=True)
        return replace(
            params, parts=tuple(_as_inside(p.family, own, its) for p, own, its in triples)
        )
    if not isinstance(family, MixtureFamily):
        return params
    orders = family.inner_order(params, like)
    weights = np.take_along_axis(params.weights, orders, axis=1)
    numbers = numbers_of(np.arange(len(orders)), family.n_components)
    flat = (numbers.reshape(orders.shape)[:, :1] + orders).ravel()
    inner = reordered(family.family, params.components, flat)
    return MixedParams(weights, _as_inside(family.family, inner, like.components))


def _labels_inside(family: Any) -> bool:
    """Whether components have labels of their own inside, which are matched to one model alone."""
    if isinstance(family, IndependentColumns):
        return any(_labels_inside(part.family) for part in family.parts)
    return isinstance(family, MixtureFamily) and family.n_components > 1


def _estimator(first: Any, params: Any, seen: float | None) -> Any:
    """An estimator with the arguments of the first, and these parameters."""
    model = type(first)(**first.get_params(deep=False))
    family = first._family()
    if isinstance(first, HMMEstimator):
        learned = {
            "startprob_": params.initial,
            "transmat_": params.transition,
            "components_": params.emissions,
            "family_": family,
        }
    else:
        learned = first._attributes(params, family, np.asarray(first.weights_).dtype)
    learned |= {**outcome(None), "n_features_in_": first._n_features()}
    if seen is not None:
        prior = first.__dict__.get("_stream", Stream()).prior  # found when the first was fitted
        learned |= after_fit(round(seen), seen, prior, first.prior)
    names = getattr(first, "feature_names_in_", None)
    model._replace(learned, None if names is None else list(names))
    return model


# -- arguments ------------------------------------------------------------------------------------


def _shares(weights: Any, models: Sequence[Any]) -> tuple[Array, float | None]:
    """(M,) weights that sum to one, and the rows that all models together have seen, if they know."""
    rows = [_rows_seen(model) for model in models]
    known = [n for n in rows if n is not None]
    seen = float(sum(known)) if len(known) == len(models) else None
    if weights is None:
        given = np.array(known) if seen is not None else np.ones(len(models))
    else:
        given = _array(weights, "weights")
        if given.dtype.kind not in "iuf" or given.shape != (len(models),):
            raise ValueError(
                f"weights: expected {len(models)} numbers, one for each model, got {weights!r}"
            )
        wrong = np.flatnonzero(~((given > 0) & (given < np.inf)))
        if len(wrong):
            raise ValueError(
                f"weights: expected finite numbers > 0, got {given[wrong[0]]} for models[{wrong[0]}]"
            )
    given = given.astype(np.float64)
    given /= given.max()
    return given / given.sum(), seen


def _rows_seen(model: Any) -> float | None:
    """Rows that the model has learned from, by weight; None if it was made of given parameters."""
    state = model.__dict__
    stream: Stream = state.get("_stream", Stream())
    if isinstance(model, HMMEstimator) and stream.n_steps > 0:
        return float(model.n_samples_seen_)  # its steps count sequences
    if stream.seen > 0:
        return stream.seen
    return float(state["_training"].total_weight) if "_training" in state else None


def _lengths(model: Any, lengths: Any) -> Lengths | None:
    if lengths is None:
        return None
    if not isinstance(model, HMMEstimator):
        raise TypeError(f"lengths: expected None for a mixture, got {lengths!r}")
    given = np.atleast_1d(_array(lengths, "lengths"))
    if given.dtype.kind not in "iu" or given.ndim != 1 or not given.size or given.min() < 1:
        raise ValueError(f"lengths: expected integers >= 1, got {lengths!r}")
    return given.astype(np.int64)


def _orders(align: Any, n_models: int, n_components: int) -> list[Order] | None:
    """The orders that are given; None if they are to be found."""
    if isinstance(align, str):
        if align not in ("auto", "unweighted", "none"):
            raise ValueError(
                "align: expected 'auto', 'unweighted', 'none' or permutations of the components of each "
                f"model, got {align!r}"
            )
        return [np.arange(n_components)] * n_models if align == "none" else None
    given = _array(align, "align")
    right = given.dtype.kind in "iu" and given.shape == (n_models, n_components)
    if not right or (np.sort(given, axis=1) != np.arange(n_components)).any():
        raise ValueError(
            f"align: expected permutations of 0 to {n_components - 1} of shape {(n_models, n_components)}, "
            f"got {align!r}"
        )
    return list(given.astype(np.intp))


def _array(value: Any, name: str) -> npt.NDArray[Any]:
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name}: expected an array, got {value!r} ({error})") from None


def _alignment(
    model: LabelledModel[Any, Any], found: Combination[Any], shares: Array, labels_inside: bool
) -> Alignment:
    clear = margins(model, found.models, shares)
    return Alignment(
        shares,
        np.stack(found.orders),
        found.divergences,
        clear,
        tuple(np.flatnonzero(clear < CLEAR).tolist()),
        tuple(found.objectives),
        found.exhaustive and not labels_inside,
    )
