"""Data, and fits to it, that are drawn."""

import numpy as np
from matplotlib.patches import Ellipse

from latentcore import GaussianMixture
from latentcore.datasets import load_earthquakes, load_old_faithful

FAITHFUL = load_old_faithful().data


COUNTS = load_earthquakes().data


ANGLES = np.linspace(0, 2 * np.pi, 50)


CIRCLE = np.column_stack([np.cos(ANGLES), np.sin(ANGLES)])


COVARIANCE_TYPES = ["full", "tied", "diag", "spherical", "tied_spherical"]


_RNG = np.random.default_rng(7)


TABLE = np.column_stack(
    [FAITHFUL, _RNG.poisson(5, len(FAITHFUL)), _RNG.integers(0, 3, len(FAITHFUL))]
)


def fitted(data, n_components=2, **settings):
    return GaussianMixture(n_components, random_state=0, **settings).fit(data)


def ellipses_of(ax):
    return [patch for patch in ax.patches if isinstance(patch, Ellipse)]


def full_covariances(model):
    k, d = model.means_.shape
    c = model.covariances_
    if model.covariance_type == "full":
        return c
    if model.covariance_type == "tied":
        return np.stack([c] * k)
    if model.covariance_type == "diag":
        return np.stack([np.diag(row) for row in c])
    return np.stack([np.eye(d) * value for value in c])
