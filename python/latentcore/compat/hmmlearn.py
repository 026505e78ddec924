"""hmmlearn's classes over ours: change the import, keep the program.

``from latentcore.compat import hmmlearn as hmm`` in place of ``from hmmlearn import hmm`` (and ``vhmm``, ``base``).
Constructor arguments, letter codes of ``params`` and ``init_params``, attributes, ``lengths`` as the second argument,
total ``score``, priors and their M-steps are those of hmmlearn 0.3: the same start gives the same fit. A
``random_state`` gives the same draws, but for k-means, which is ours.

Where hmmlearn's formulas are not what one would derive, they are kept, so that numbers agree: ``PoissonHMM`` weighs its
prior against the rows of all states; ``GMMHMM`` takes covariances about the means before the step and counts ``M - 1``
free weights; a number as ``covars_prior`` is added to all entries of full matrices; the lower bound of
``VariationalGaussianHMM`` lacks ``-N D / 2 log(2 pi)``, and for "diag" and "spherical" it is that of Wishart
distributions. The estimators of ``latentcore`` itself have none of this.

What differs:

- ``implementation`` is accepted and ignored: there is one, which neither underflows nor fails as "scaling" may.
- A state without weight keeps its parameters, where hmmlearn's become NaN or rows of zeros.
- With "c" but not "m" in ``params``, covariances are taken about the means that are kept.
- ``covars_`` of "spherical" is (S, D, D) after a fit, too, and the start is the mean variance.
- ``GaussianHMM`` and ``GMMHMM`` take NaN for a missing entry.
- A fit raises ``ImpossibleSequenceError``, a ``ValueError``, for a sequence of density 0.
- ``random_state`` stays what the constructor got. ``CategoricalHMM`` wants one column.
- Private methods are not hooks: a subclass may give ``_compute_log_likelihood`` of rows to ``BaseHMM``, no more.
"""

from latentcore.compat.hmmlearn_base import BaseHMM, ConvergenceMonitor
from latentcore.compat.hmmlearn_discrete import CategoricalHMM, MultinomialHMM, PoissonHMM
from latentcore.compat.hmmlearn_gaussian import GaussianHMM
from latentcore.compat.hmmlearn_gmm import GMMHMM
from latentcore.compat.hmmlearn_variational import (
    VariationalCategoricalHMM,
    VariationalGaussianHMM,
)

__all__ = [
    "GMMHMM",
    "BaseHMM",
    "CategoricalHMM",
    "ConvergenceMonitor",
    "GaussianHMM",
    "MultinomialHMM",
    "PoissonHMM",
    "VariationalCategoricalHMM",
    "VariationalGaussianHMM",
]
