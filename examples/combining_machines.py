"""One data set on M machines: each fits a mixture to its own rows, the models are combined, and nothing else travels.

Drawn is how far held-out rows are below the truth, by M, for the same 32,000 rows in all: the fit to all rows; the
combination of fits that each began on its own, with and without matching their components; the combination of fits that
all began where the first machine's had ended; and the first machine's model alone.

python examples/combining_machines.py PICTURE.png
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
from matplotlib.figure import Figure

from latentcore import GaussianMixture, combine
from latentcore.errors import AmbiguousAlignmentWarning, ConvergenceWarning

N_ROWS, N_SEEDS = 32_000, 6
MACHINES = [1, 2, 4, 8, 16, 32]
K, D = 5, 3
WAYS = ["fit to all rows", "combined", "combined, one start", "not matched", "one machine alone"]


def fitted(x: np.ndarray, seed: int) -> GaussianMixture:
    return GaussianMixture(K, n_init=5, random_state=seed).fit(x)


def fitted_from(start: GaussianMixture, x: np.ndarray) -> GaussianMixture:
    model = GaussianMixture.from_params(start.weights_, start.means_, start.covariances_)
    return model.set_params(warm_start=True).fit(x)


def gaps(seed: int) -> dict[str, list[float]]:
    """By way, for each M, how far the held-out likelihood is below that of the truth, nats a row."""
    rng = np.random.default_rng(seed)
    truth = GaussianMixture.from_params(
        rng.dirichlet(np.full(K, 10.0)), rng.normal(0, 3, (K, D)), np.stack([np.eye(D)] * K),
        random_state=rng,
    )  # fmt: skip
    x, test = rng.permutation(truth.sample(N_ROWS)[0]), truth.sample(N_ROWS)[0]
    pooled = fitted(x, seed)
    found: dict[str, list[float]] = {name: [] for name in WAYS}
    for n_machines in MACHINES:
        parts = np.array_split(x, n_machines)
        models = [fitted(part, seed) for part in parts]
        ways = [
            pooled,
            combine(models).model,
            combine([fitted_from(models[0], part) for part in parts]).model,
            combine(models, align="none").model,
            models[0],
        ]
        for name, model in zip(WAYS, ways, strict=True):
            found[name].append(truth.score(test) - model.score(test))
    return found


def main(picture: str) -> None:
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.simplefilter("ignore", AmbiguousAlignmentWarning)
    runs = [gaps(seed) for seed in range(N_SEEDS)]
    figure = Figure(figsize=(8, 5), layout="constrained")
    ax = figure.subplots()
    print("median, nats a held-out row below the truth, by the number of machines")
    print(" " * 24 + "".join(f"{m:9}" for m in MACHINES))
    for name in WAYS:
        low, middle, high = np.quantile([run[name] for run in runs], [0.1, 0.5, 0.9], axis=0)
        (line,) = ax.plot(MACHINES, middle, marker=".", label=name)
        ax.fill_between(MACHINES, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
        print(f"  {name:22}" + "".join(f"{gap:9.4f}" for gap in middle))
    ax.set(xscale="log", yscale="log", xlabel=f"machines that share {N_ROWS} rows")
    ax.set_ylabel("nats a held-out row below the truth")
    ax.set_xticks(MACHINES, map(str, MACHINES))
    ax.legend()
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/combining_machines.py PICTURE.png")
    main(sys.argv[1])
