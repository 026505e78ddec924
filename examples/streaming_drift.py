"""A stream whose source changes abruptly: which step sizes follow, and what steadiness costs.

The first 200 batches come from one mixture, the next 200 from another, whose components have moved. Drawn is how far
the likelihood of each new batch, before it is learned from, is below that of its own truth.

python examples/streaming_drift.py PICTURE.png
"""

from __future__ import annotations

import sys

import numpy as np
from matplotlib.figure import Figure

from latentcore import ConstantStep, GaussianMixture, Online, PowerStep

N_BATCHES, BATCH_ROWS, N_SEEDS = 200, 100, 8
RULES = {
    "rho = 1/t: all rows alike": Online(PowerStep(1.0, delay=0.0)),
    "rho = (t + 1)^-0.6": Online(PowerStep(0.6)),
    "eta = 0.2": Online(ConstantStep(0.2)),
    "eta = 0.02": Online(ConstantStep(0.02)),
    "automatic steps": Online("auto"),
}
WINDOW = 5
"""Batches that the curves are averaged over."""


def source(rng: np.random.Generator) -> GaussianMixture:
    return GaussianMixture.from_params(
        rng.dirichlet(np.full(4, 10.0)), rng.normal(0, 4, (4, 2)), np.stack([np.eye(2)] * 4),
        random_state=rng,
    )  # fmt: skip


def curves(seed: int) -> dict[str, np.ndarray]:
    """By rule, the gap of each batch to its truth, nats a row."""
    rng = np.random.default_rng(seed)
    sources = [source(rng), source(rng)]
    batches = [
        (truth, rng.permutation(truth.sample(BATCH_ROWS)[0]))
        for truth in sources
        for _ in range(N_BATCHES)
    ]
    found = {}
    for name, online in RULES.items():
        model = GaussianMixture(4, online=online, random_state=seed)
        model.partial_fit(batches[0][1])
        gaps = []
        for truth, batch in batches[1:]:
            gaps.append(truth.score(batch) - model.score(batch))
            model.partial_fit(batch)
        found[name] = np.convolve(gaps, np.full(WINDOW, 1 / WINDOW), mode="valid")
    return found


def main(picture: str) -> None:
    runs = [curves(seed) for seed in range(N_SEEDS)]
    figure = Figure(figsize=(10, 5), layout="constrained")
    ax = figure.subplots()
    print("median gap, nats a row: just before the change, 20 batches after it, at the end")
    for name in RULES:
        middle = np.median([run[name] for run in runs], axis=0)
        steps = np.arange(len(middle)) + WINDOW
        ax.plot(steps, middle, label=name)
        shown = middle[[N_BATCHES - WINDOW - 1, N_BATCHES + 20 - WINDOW, -1]]
        print(f"  {name:28}" + "".join(f"{gap:9.4f}" for gap in shown))
    ax.axvline(N_BATCHES, color="0.5", linestyle=":")
    ax.set(xlabel=f"batches of {BATCH_ROWS} rows", ylabel="nats a row below the truth")
    ax.set_yscale("symlog", linthresh=0.01)
    ax.set_ylim(bottom=-0.005)
    ax.legend()
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/streaming_drift.py PICTURE.png")
    main(sys.argv[1])
