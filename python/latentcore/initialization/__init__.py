"""Where a mixture's fit begins: k-means, k-means++ and random responsibilities, as statistics.

For Gaussians a seed gives the responsibilities that scikit-learn's ``GaussianMixture`` begins with: the same draws, in
the same order, spent in the same way. Two things differ, by design, and make the choices differ now and then:

- Distances are sums of squared differences, and sums over rows are taken in float64. scikit-learn expands the square
  and, for float32 data, adds in float32. So a draw that falls just between two rows, a near tie of two candidates or
  of two centers, or data far from the origin may come out otherwise.
- A row of weight 0 is absent, from the draws and from the tolerance too.

Rows of other families, and rows with missing entries, are clustered in the Euclidean coordinates ``embedding(x)`` of
their family, (N, E) float64 and finite, or by their columns as they are where a family has no such method. Of many rows
k-means sees as many, drawn at random, as make 2^22 coordinates, though at least 10 K.

A component knows nothing of what none of the rows that it begins on has: a word that its documents lack would have
probability 0 for good, and a Gaussian on a single row would be singular. So wherever that can happen each component
gets a tenth of its start from all rows alike.

Where components are mixtures themselves, their components begin at clusters of the rows that theirs has; a single row
would not do, so that "k-means++" and "random_from_data" are k-means there.
"""

from __future__ import annotations

from latentcore.initialization.lloyd import Clusters, kmeans
from latentcore.initialization.rows import RandomState
from latentcore.initialization.seeding import kmeans_plusplus
from latentcore.initialization.starts import Everywhere, InitMethod, initial_statistics

__all__ = [
    "Clusters",
    "Everywhere",
    "InitMethod",
    "RandomState",
    "initial_statistics",
    "kmeans",
    "kmeans_plusplus",
]
