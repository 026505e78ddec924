"""One data set on M machines: each fits a mixture to its own rows, the models are combined, and nothing else travels.

Drawn is how far held-out rows are below the truth, by M: for the fit to all rows, for the combination, for what the
combination would be without matching the components, and for one machine's model alone. All rows are 16,000,
whatever M is.

python examples/combining_machines.py PICTURE.png
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
from matplotlib.figure import Figure

from latentcore import GaussianMixture, combine
from latentcore.errors import AmbiguousAlignmentWarning, ConvergenceWarning

N_ROWS, N_SEEDS = 16_000, 8
MACHINES = [1, 2, 4, 8, 16, 32]
K, D = 5, 3


def fitted(x: np.ndarray, seed: int) -> GaussianMixture:
    return GaussianMixture(K, n_init=10, random_state=seed).fit(x)


def gaps(seed: int) -> dict[str, list[float]]:
    """By way, for each M, how far the held-out likelihood is below that of the truth, nats a row."""
    rng = np.random.default_rng(seed)
    truth = GaussianMixture.from_params(
        rng.dirichlet(np.full(K, 10.0)), rng.normal(0, 3, (K, D)), np.stack([np.eye(D)] * K),
        random_state=rng,
    )  # fmt: skip
    x, test = rng.permutation(truth.sample(N_ROWS)[0]), truth.sample(N_ROWS)[0]
    best = truth.score(test)
    found: dict[str, list[float]] = {name: [] for name in WAYS}
    pooled = best - fitted(x, seed).score(test)
    for n_machines in MACHINES:
        models = [fitted(part, seed) for part in np.array_split(x, n_machines)]
        matched, as_they_come = (combine(models, align=a).model for a in ("auto", "none"))
        found["fit to all rows"].append(pooled)
        found["combined"].append(best - matched.score(test))
        found["combined without matching"].append(best - as_they_come.score(test))
        found["one machine alone"].append(best - models[0].score(test))
    return found


WAYS = ["fit to all rows", "combined", "combined without matching", "one machine alone"]


def main(picture: str) -> None:
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.simplefilter("ignore", AmbiguousAlignmentWarning)
    runs = [gaps(seed) for seed in range(N_SEEDS)]
    figure = Figure(figsize=(8, 5), layout="constrained")
    ax = figure.subplots()
    print("median, nats a held-out row below the truth, by the number of machines")
    print(" " * 28 + "".join(f"{m:9}" for m in MACHINES))
    for name in WAYS:
        low, middle, high = np.quantile([run[name] for run in runs], [0.1, 0.5, 0.9], axis=0)
        (line,) = ax.plot(MACHINES, middle, marker=".", label=name)
        ax.fill_between(MACHINES, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
        print(f"  {name:26}" + "".join(f"{gap:9.4f}" for gap in middle))
    ax.set(xscale="log", yscale="log", xlabel=f"machines that share {N_ROWS} rows")
    ax.set_ylabel("nats a held-out row below the truth")
    ax.set_xticks(MACHINES, map(str, MACHINES))
    ax.legend()
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/combining_machines.py PICTURE.png")
    main(sys.argv[1])
