"""Stochastic variational inference on a cluster: batches are made where the rows are."""

from __future__ import annotations

from typing import Any

import dask.dataframe as dd
import pytest

from clusters.tools import VISIBLE, assert_identical, table
from latentcore import BayesianGaussianMixture
from latentcore.distributed import Traffic, fit

pytestmark = [
    pytest.mark.filterwarnings("ignore::latentcore.errors.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # of dask.dataframe, about pandas
]
FRAME = table()


def make() -> BayesianGaussianMixture:
    return BayesianGaussianMixture(3, max_iter=2, tol=0.0, random_state=0, batch_size=400)


def test_one_part_gives_the_fit_of_memory_and_rows_stay_where_they_are(client: Any) -> None:
    def on_cluster(n_parts: int, traffic: Traffic | None = None) -> BayesianGaussianMixture:
        data = dd.from_pandas(FRAME, npartitions=n_parts)
        return fit(make(), data, columns=VISIBLE, sample_weight="weight", traffic=traffic)

    memory = make().fit(FRAME[VISIBLE], sample_weight=FRAME["weight"].to_numpy())
    assert_identical(on_cluster(1), memory)
    traffic = Traffic()
    model = on_cluster(3, traffic)
    assert_identical(on_cluster(3), model)
    assert model.lower_bound_ == pytest.approx(memory.lower_bound_, rel=0.01)
    n_steps = 2 * -(-int((FRAME["weight"] > 0).sum()) // 400)
    sent, received = traffic.sent[3:], traffic.received[3:]  # after the survey and the start
    assert len(sent) == 1 + n_steps + 2 + 1, "sizes, steps, bounds, and the terms of the last one"
    assert max(sent + received) < 4096
