"""Pictures of fitted models. Needs matplotlib: ``pip install 'latentcore[plot]'``.

Every function draws on the axes given as ``ax``, or on those of a new figure, and returns them; ``ax.figure`` is the
figure. Nothing touches pyplot's global state: figures that are made here have an Agg canvas and are saved with
``savefig``. Entries that are missing are not drawn.
"""

from latentcore.plots.bayesian import elbo_terms, posterior_ellipses, posterior_weights
from latentcore.plots.fits import criteria, fit_figure, objective
from latentcore.plots.hmm import forecast, state_probabilities, states, transition_matrix
from latentcore.plots.rows import densities, ellipses, responsibilities, uncertainty

__all__ = [
    "criteria",
    "densities",
    "elbo_terms",
    "ellipses",
    "fit_figure",
    "forecast",
    "objective",
    "posterior_ellipses",
    "posterior_weights",
    "responsibilities",
    "state_probabilities",
    "states",
    "transition_matrix",
    "uncertainty",
]
