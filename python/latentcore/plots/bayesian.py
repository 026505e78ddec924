"""Pictures of posteriors of Bayesian mixtures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from latentcore.estimators.bayesian_base import BayesianEstimator
from latentcore.families.columns import IndependentColumns
from latentcore.families.gaussian_means import GaussianMeans
from latentcore.plots.figures import (
    INK,
    axes_or_new,
    check_probability,
    colors_of,
    ellipse_of,
    label_axes,
    signed,
    tick_whole_numbers,
)
from latentcore.plots.marginals import full_covariances, pair_moments, part_of
from latentcore.plots.models import Bayesian, not_empty, two_columns
from latentcore.plots.rows import ellipses
from latentcore.protocols import Array
from latentcore.structures.weights import Dirichlet, FixedWeights

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["drawn_weights", "elbo_terms", "posterior_ellipses", "posterior_weights"]

_DRAWS = 20_000


def elbo_terms(model: Bayesian, *, ax: Axes | None = None) -> Axes:
    """What the evidence lower bound is made of: from the expected log joint density, step by step, to the bound.

    The entropy of the assignments is gained; the divergences of weights and of each component from their priors are
    paid.

    Parameters
    ----------
    model : fitted Bayesian mixture
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        The model is no Bayesian mixture.
    """
    _check_bayesian(model)
    terms = model.elbo_terms_
    steps = [terms["entropy"], -terms["divergence_of_weights"]]
    steps += [-float(divergence) for divergence in terms["divergence_of_components"]]
    ends = terms["expected_log_joint"] + np.cumsum([0.0, *steps])
    ax = axes_or_new(ax)
    ax.axvline(ends[0], color=INK, linewidth=1, linestyle=":")
    ax.axvline(ends[-1], color=INK, linewidth=1)
    colors = ["#999999", "#555555", *(tuple(color) for color in colors_of(len(steps) - 2))]
    places = [0, 1, *[2] * (len(steps) - 2)]
    ax.barh(
        places, steps, left=ends[:-1], height=0.6, color=colors, edgecolor="white", linewidth=0.5
    )
    names = ["entropy", "\N{MINUS SIGN} KL of weights", "\N{MINUS SIGN} KL of components"]
    sums = [steps[0], steps[1], sum(steps[2:])]
    labels = [f"{name}\n{signed(value)}" for name, value in zip(names, sums, strict=True)]
    ax.set_yticks(range(3), labels)
    ax.invert_yaxis()
    ax.use_sticky_edges = False
    ax.margins(x=0.08)
    ax.locator_params(axis="x", nbins=6)
    ax.set_title(
        f"expected log joint {signed(ends[0])} (dotted), bound {signed(ends[-1])}", fontsize=9
    )
    label_axes(ax, "nats", "")
    return ax


def posterior_weights(
    model: Bayesian, *, ax: Axes | None = None, probability: float = 0.95
) -> Axes:
    """Posterior means of the weights, with central credible intervals.

    Parameters
    ----------
    model : fitted Bayesian mixture
    ax : matplotlib Axes, optional
    probability : float, in (0, 1)
        Of an interval. Its ends are quantiles of 20 000 draws of the weights, always the same ones.

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        The model is no Bayesian mixture.
    ValueError
        ``probability`` is not in (0, 1).
    """
    _check_bayesian(model)
    check_probability(probability)
    means = model.posterior_.weights.mean()
    tail = 100 * (1 - probability) / 2
    low, high = np.percentile(drawn_weights(model.posterior_.weights), [tail, 100 - tail], axis=0)
    ax = axes_or_new(ax)
    k = np.arange(len(means))
    colors = colors_of(len(means))
    ax.vlines(k, low, high, colors=[tuple(color) for color in colors], linewidth=3, alpha=0.6)
    ax.scatter(k, means, c=colors, s=30, zorder=3)
    tick_whole_numbers(ax)
    ax.set_ylim(bottom=0)
    label_axes(ax, "component", f"weight, {100 * probability:g} % interval")
    return ax


def posterior_ellipses(
    model: Bayesian,
    X: Any,
    columns: tuple[int, int] = (0, 1),
    *,
    ax: Axes | None = None,
    probability: float = 0.95,
    max_points: int = 5000,
) -> Axes:
    """Rows under the ellipses of Gaussian components, and in filled ones where their means are.

    Parameters
    ----------
    model : fitted Bayesian mixture
        Gaussian, with any type of covariances, or with these two Gaussian columns in one group of columns.
    X : (N, D)
    columns : (int, int)
        The features across and up.
    ax : matplotlib Axes, optional
    probability : float, in (0, 1)
        That the mean is in its ellipse: a region of its marginal distribution, Student's t. Open ellipses are one and
        two standard deviations of the mean covariance. For diagonal covariances, whose means have independent Student
        distributions, the ellipse is that of a joint one with their scales, near which they are with many rows.
    max_points : int
        Of more rows, evenly spaced ones are drawn.

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        The model is no Bayesian mixture.
    ValueError
        A column does not exist or is not Gaussian, both are the same, or they are in different groups.
    """
    _check_bayesian(model)
    check_probability(probability)
    across, up = two_columns(model, columns)
    ax = ellipses(model, X, columns, ax=ax, max_points=max_points)
    means, regions = _regions_of_means(model, across, up, probability)
    colors = colors_of(len(means))
    for k in not_empty(model):
        ax.add_patch(
            ellipse_of(
                means[k], regions[k], facecolor=colors[k], edgecolor=INK, linewidth=0.8, alpha=0.6
            )
        )
    ax.autoscale_view()
    return ax


def _check_bayesian(model: Any) -> None:
    if not isinstance(model, BayesianEstimator):
        raise TypeError(f"model: expected a Bayesian mixture, got {type(model).__name__}")


def drawn_weights(posterior: Any) -> Array:
    """Draws of the weights, (20 000, K)."""
    rng = np.random.default_rng(0)
    if isinstance(posterior, Dirichlet):
        return rng.dirichlet(posterior.alpha, _DRAWS)
    if isinstance(posterior, FixedWeights):
        fixed: Array = posterior.weights[None]
        return fixed
    order = posterior.order()
    a, b = posterior.betas(order)
    sticks = rng.beta(a, b, (_DRAWS, len(a)))
    ones = np.ones((_DRAWS, 1))
    taken = np.hstack([sticks, ones]) * np.hstack([ones, np.cumprod(1 - sticks, axis=1)])
    weights = np.empty((_DRAWS, len(order)))
    weights[:, order] = taken[:, : len(order)]
    shares: Array = weights / weights.sum(axis=1, keepdims=True)  # of what these K have
    return shares


def _regions_of_means(
    model: Bayesian, across: int, up: int, probability: float
) -> tuple[Array, Array]:
    """Means (K, 2) and the matrices (K, 2, 2) of ellipses that hold them with this probability.

    The mean of two columns is Student's t with nu' degrees of freedom and scale S, so that half its squared distance
    is F(2, nu'), of which quantiles are ``nu' / 2 ((1 - p)^(-2 / nu') - 1)``.
    """
    family, components = model.family_, model.posterior_.components
    if isinstance(family, IndependentColumns):
        pair_moments(model, across, up)
        one, other = (part_of(family, components, column) for column in (across, up))
        if one[1] is not other[1]:
            raise ValueError("columns: expected two columns of one group, got ones of two groups")
        family, components, across = one
        up = other[2]
    pair = [across, up]
    if isinstance(family, GaussianMeans):
        scales = components.variances[:, None, None] * np.eye(2)
        return components.means[:, pair], -2 * np.log1p(-probability) * scales
    type_ = family.covariance_type
    n_features = components.means.shape[1]
    nu = components.degrees_of_freedom
    if type_ in ("full", "tied"):
        nu = nu - n_features + 1
    scale = full_covariances(type_, components.scale, components.means.shape)[:, pair][:, :, pair]
    scale = scale / (components.mean_precision * nu)[:, None, None]
    radius = nu * np.expm1(-2 / nu * np.log1p(-probability))
    return components.means[:, pair], scale * np.atleast_1d(radius)[:, None, None]
