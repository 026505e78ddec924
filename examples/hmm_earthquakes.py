"""Major earthquakes of the years 1900 to 2006 as a Poisson hidden Markov model: its states, their law, the next years.

python examples/hmm_earthquakes.py PICTURE.png
"""

from __future__ import annotations

import sys

from matplotlib.figure import Figure

from latentcore import PoissonHMM, Topology, datasets, plots


def fitted(n_states: int) -> PoissonHMM:
    """The best of three starts; a chain that began long before 1900."""
    model = PoissonHMM(
        n_states, topology=Topology(start="stationary"), n_init=3, tol=1e-8, max_iter=2000,
        random_state=0,
    )  # fmt: skip
    model.fit(datasets.load_earthquakes().data)
    return model.relabel(by=lambda m: m.rates_[:, 0])


def main(picture: str) -> None:
    quakes = datasets.load_earthquakes()
    models = [fitted(n_states) for n_states in range(1, 5)]
    for model in models:
        figures = model.loglik(quakes.data), model.aic(quakes.data), model.bic(quakes.data)
        print(
            "{} states: log-likelihood {:.4f}, AIC {:.1f}, BIC {:.1f}".format(
                len(model.rates_), *figures
            )
        )

    model = min(models, key=lambda m: m.aic(quakes.data))
    print(f"\n{model.summary()}\n")
    states = model.predict(quakes.data)
    for k, years in enumerate(model.expected_durations()):
        print(f"state {k}: {(states == k).sum()} years, {years:.1f} at a time")
    ahead = model.forecast(3, quakes.data, random_state=0)
    assert ahead.means is not None
    for year, mean in zip(range(2007, 2010), ahead.means[:, 0], strict=True):
        print(f"{year}: {mean:.1f} earthquakes expected")

    figure = Figure(figsize=(16, 9), layout="constrained")
    (series, ribbons), (matrix, fan) = figure.subplots(2, 2)
    plots.states(model, quakes.data, times=quakes.years, ax=series)
    plots.state_probabilities(model, quakes.data, times=quakes.years, ax=ribbons)
    plots.transition_matrix(model, ax=matrix)
    plots.forecast(model, quakes.data, 20, times=quakes.years, history=40, ax=fan)
    series.set_ylabel("major earthquakes")
    fan.set_ylabel("major earthquakes")
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/hmm_earthquakes.py PICTURE.png")
    main(sys.argv[1])
