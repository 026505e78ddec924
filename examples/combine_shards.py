"""Statistics add: an EM step over shards of the data is the step over all of it.

The same sum serves threads, files too large for memory, and machines.

    python examples/combine_shards.py
"""

import numpy as np

from latentcore.arrays import Rows
from latentcore.datasets import load_old_faithful
from latentcore.families.gaussian import Gaussian
from latentcore.statistics import total
from latentcore.structures.mixture import Mixture, MixtureParams


def main() -> None:
    rows = Rows(load_old_faithful().data)
    family = Gaussian("full")
    model = Mixture(family)
    means = np.array([[2.0, 55.0], [4.5, 80.0]])
    covariances = np.array([np.diag([0.1, 30.0])] * 2)
    params = MixtureParams(np.array([0.4, 0.6]), family.params(means, covariances))

    whole, log_likelihood = model.expected_statistics(params, rows)
    parts = [model.expected_statistics(params, shard) for shard in rows.shards(100)]
    summed = total(stats for stats, _ in parts)

    print(f"log-likelihood of all rows   {log_likelihood:.9f}")
    print(f"sum over {len(parts)} shards           {sum(value for _, value in parts):.9f}")
    difference = abs(
        model.maximize(summed).components.means - model.maximize(whole).components.means
    )
    print(f"largest difference of means  {difference.max():.1e}")


if __name__ == "__main__":
    main()
