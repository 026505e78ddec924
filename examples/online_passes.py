"""Is one pass of online EM worth several iterations of batch EM? Held-out likelihood by passes over the data.

Each pass sees all rows once: batch EM makes one step of it, online EM one step for each of 80 batches. All curves of a
picture begin alike: above at a poor start, a few rows as means, below where k-means ends. Drawn are medians over seeds,
and the band of the middle 80 %.

python examples/online_passes.py PICTURE.png
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from latentcore import ConstantStep, GaussianHMM, GaussianMixture, Online, PoissonMixture, PowerStep
from latentcore.errors import ConvergenceWarning

N_SEEDS = 6
N_PASSES = 10
N_BATCHES = 80
RULES = {
    "batch EM": None,
    "online, rho = (t + 1)^-0.6": Online(PowerStep(0.6)),
    "online, eta = 0.02": Online(ConstantStep(0.02)),
}
Chunks = list[np.ndarray]  # of one row, or of one sequence


def gaussian(rng: np.random.Generator) -> tuple[Any, Any, Chunks]:
    """The truth, a start and data: eight Gaussians in four dimensions, which overlap."""
    k, d = 8, 4
    truth = GaussianMixture.from_params(
        rng.dirichlet(np.full(k, 5.0)), rng.normal(0, 2, (k, d)), np.stack([np.eye(d)] * k),
        random_state=rng,
    )  # fmt: skip
    x = rng.permutation(truth.sample(8000)[0])
    start = GaussianMixture.from_params(np.full(k, 1 / k), x[:k], np.stack([np.cov(x.T)] * k))
    return truth, start, list(x[:, None])


def poisson(rng: np.random.Generator) -> tuple[Any, Any, Chunks]:
    """Six components of five counts."""
    k, d = 6, 5
    truth = PoissonMixture.from_params(
        rng.dirichlet(np.full(k, 5.0)), rng.gamma(2, 2, (k, d)), random_state=rng
    )
    x = rng.permutation(truth.sample(8000)[0])
    start = PoissonMixture.from_params(np.full(k, 1 / k), (x[:k] + x.mean(axis=0)) / 2 + 0.1)
    return truth, start, list(x[:, None])


def hmm(rng: np.random.Generator) -> tuple[Any, Any, Chunks]:
    """Four states in two dimensions, 400 sequences of 40 rows."""
    s, d, t = 4, 2, 40
    transition = 0.8 * np.eye(s) + 0.2 * rng.dirichlet(np.ones(s), s)
    truth = GaussianHMM.from_params(
        np.full(s, 1 / s), transition, rng.normal(0, 2, (s, d)), np.stack([np.eye(d)] * s),
        random_state=rng,
    )  # fmt: skip
    x = [truth.sample(t)[0] for _ in range(400)]
    rows = np.concatenate(x)
    start = GaussianHMM.from_params(
        np.full(s, 1 / s), np.full((s, s), 1 / s), rows[:: len(rows) // s][:s],
        np.stack([np.cov(rows.T)] * s),
    )  # fmt: skip
    return truth, start, x


PROBLEMS: dict[str, Callable[[np.random.Generator], tuple[Any, Any, Chunks]]] = {
    "mixture of Gaussians": gaussian,
    "mixture of Poissons": poisson,
    "hidden Markov model": hmm,
}


def data_of(chunks: Chunks, problem: str) -> Any:
    return chunks if problem == "hidden Markov model" else np.concatenate(chunks)


def curves(problem: str, seed: int, from_clusters: bool) -> dict[str, list[float]]:
    """By rule, how far the held-out likelihood is below that of the truth after each pass, nats a row."""
    rng = np.random.default_rng(seed)
    truth, start, chunks = PROBLEMS[problem](rng)
    half = len(chunks) // 2
    train, test = chunks[:half], data_of(chunks[half:], problem)
    if from_clusters:
        start = type(start)(start.n_components, max_iter=0, random_state=seed)
        start.fit(data_of(train, problem))
    best = truth.score(test)
    found = {}
    for name, online in RULES.items():
        model = start.from_params(*parameters_of(start))
        model.set_params(warm_start=True, max_iter=1, tol=0.0, online=online)
        gaps = [best - model.score(test)]
        for _ in range(N_PASSES):
            if online is None:
                model.fit(data_of(train, problem))
            else:
                order = rng.permutation(half)
                for batch in np.array_split(order, N_BATCHES):
                    model.partial_fit(data_of([train[i] for i in batch], problem))
            gaps.append(best - model.score(test))
        found[name] = gaps
    return found


def parameters_of(model: Any) -> tuple[Any, ...]:
    if isinstance(model, GaussianHMM):
        return model.startprob_, model.transmat_, model.means_, model.covariances_
    if isinstance(model, GaussianMixture):
        return model.weights_, model.means_, model.covariances_
    return model.weights_, model.components_.rates


def main(picture: str) -> None:
    warnings.simplefilter("ignore", ConvergenceWarning)  # of batch EM stopped after each iteration
    figure = Figure(figsize=(15, 9), layout="constrained")
    axes = figure.subplots(2, len(PROBLEMS))
    for row, start in enumerate(["a poor start", "k-means"]):
        for column, problem in enumerate(PROBLEMS):
            runs = [curves(problem, seed, start == "k-means") for seed in range(N_SEEDS)]
            print(f"{problem}, from {start}")
            draw(runs, axes[row, column])
            axes[row, column].set_title(f"{problem}, from {start}")
    figure.savefig(picture, dpi=90)


def draw(runs: list[dict[str, list[float]]], ax: Any) -> None:
    passes = np.arange(N_PASSES + 1)
    for name in RULES:
        low, middle, high = np.quantile([run[name] for run in runs], [0.1, 0.5, 0.9], axis=0)
        (line,) = ax.plot(passes, middle, marker=".", label=name)
        ax.fill_between(passes, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
        print(f"  {name:28}" + "".join(f"{gap:8.4f}" for gap in middle[[0, 1, 2, 3, 5, 10]]))
    beaten = [
        int(np.sum(np.array(run["batch EM"][1:]) > run["online, rho = (t + 1)^-0.6"][1]))
        for run in runs
    ]
    print(f"  iterations of batch EM, of {N_PASSES}, that one online pass beats: {sorted(beaten)}")
    ax.set(xlabel="passes over the data", yscale="log")
    ax.set_ylabel("nats a held-out row below the truth")
    ax.legend()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/online_passes.py PICTURE.png")
    main(sys.argv[1])
