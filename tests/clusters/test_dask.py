"""Fits on a cluster of two processes: those of one machine, also when a worker is killed."""

from __future__ import annotations

import os
import signal
from typing import Any

import dask
import dask.array as da
import dask.bag as db
import dask.dataframe as dd
import distributed
import numpy as np
import pytest
from dask.sizeof import sizeof
from distributed import Client, default_client

from clusters.tools import (
    CASES,
    N_PARTS,
    NO_ROLES,
    ROWS,
    SEQUENCES,
    VISIBLE,
    Case,
    assert_close,
    assert_fit_is_that_of_one_machine,
    assert_identical,
    assert_refused_as_before,
    case,
    combined_in_one_pass,
    parts_in,
    table,
    wait_until_forgotten,
)
from latentcore import GaussianHMM, GaussianMixture, PoissonMixture
from latentcore.arrays import as_matrix
from latentcore.distributed import Traffic, fit
from latentcore.distributed.dask import _Held, active_client, parts_of
from latentcore.parts import Part

pytestmark = [
    pytest.mark.filterwarnings("ignore::latentcore.errors.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # of dask.dataframe, about pandas
]

FRAME = table()
X = FRAME[VISIBLE].to_numpy()
EM, HMM = case("EM"), case("HMM")


def array_of(frame: Any, columns: list[str]) -> Any:
    return da.from_array(frame[columns].to_numpy(), chunks=(ROWS, len(columns)))


# -- the same fit --------------------------------------------------------------------------------


@pytest.mark.parametrize("of", CASES, ids=lambda of: of.name)
def test_fit_is_that_of_one_machine_and_that_of_equal_parts_bit_for_bit(
    of: Case, client: Any
) -> None:
    frame = dd.from_pandas(FRAME, npartitions=N_PARTS)
    assert_fit_is_that_of_one_machine(of, frame, FRAME)


def test_array_and_what_lies_alongside_give_the_fit_of_the_data_frame(client: Any) -> None:
    arguments = {"sample_weight": "weight", "labels": "label"}
    expected = EM.make().fit(X, **{k: FRAME[name].to_numpy() for k, name in arguments.items()})
    alongside = {
        "sample_weight": da.from_array(FRAME["weight"].to_numpy(), chunks=300),
        "labels": FRAME["label"].to_numpy(),
    }
    whole_rows = array_of(FRAME, VISIBLE)
    for x in (whole_rows, whole_rows.rechunk((ROWS, 2))):
        assert_close(fit(EM.make(), x, client=client, **alongside), expected)


def test_lengths_and_groups_of_an_array_tell_sequences_apart(client: Any) -> None:
    lengths = [100] * (N_PARTS * SEQUENCES)
    weights = np.arange(1.0, 1.0 + len(lengths))
    expected = HMM.make().fit(X, lengths=lengths, sample_weight=weights)
    x = array_of(FRAME, VISIBLE)
    assert_close(fit(HMM.make(), x, lengths=lengths, sample_weight=weights), expected)
    by_row: dict[str, Any] = {
        "groups": FRAME["sequence"].to_numpy(),
        "sample_weight": np.repeat(weights, 100),
    }
    assert_close(fit(HMM.make(), x, **by_row), expected)


def test_rows_of_sequences_that_lie_anywhere_are_brought_together_in_order(client: Any) -> None:
    shuffled = FRAME.sample(frac=1.0, random_state=1)
    frame = dd.from_pandas(shuffled, npartitions=3, sort=False)
    model = _started_hmm()
    fit(model, frame, columns=VISIBLE, groups="sequence", order_by="time")
    expected = _started_hmm().fit(X, groups=FRAME["sequence"].to_numpy())
    np.testing.assert_allclose(model.means_, expected.means_, rtol=1e-9)
    np.testing.assert_allclose(model.lower_bounds_, expected.lower_bounds_, rtol=1e-10)


def _started_hmm() -> GaussianHMM:
    """With a start that does not depend on the order of the rows."""
    return GaussianHMM(
        2, max_iter=5, tol=0, startprob_init=[0.5, 0.5], transmat_init=[[0.9, 0.1], [0.2, 0.8]],
        means_init=[[0.0, 0.0, 0.0], [2.0, 2.0, 1.0]], covariances_init=[np.eye(3), np.eye(3)],
    )  # fmt: skip


def test_partitions_without_rows_and_unknown_sizes_do_not_matter(client: Any) -> None:
    frame = dd.from_pandas(FRAME, npartitions=N_PARTS)
    kept = frame[frame["sequence"] >= "s010"]  # the first two partitions are empty now
    expected = EM.make().fit(X[1000:])
    assert_close(fit(EM.make(), kept[VISIBLE]), expected)
    array = kept[VISIBLE].to_dask_array()
    weights = kept["weight"].to_dask_array()
    assert np.isnan(array.shape[0])
    np.testing.assert_allclose(fit(EM.make(), array).means_, expected.means_, rtol=1e-10)
    weighted = EM.make().fit(X[1000:], sample_weight=FRAME["weight"].to_numpy()[1000:])
    np.testing.assert_allclose(
        fit(EM.make(), array, sample_weight=weights).means_, weighted.means_, rtol=1e-10
    )


def test_delayed_objects_futures_and_bags_are_parts(client: Any) -> None:
    blocks = np.split(X, N_PARTS)
    delayed = [dask.delayed(np.copy)(block) for block in blocks]
    futures = client.scatter([Part(block) for block in blocks])
    bag = db.from_sequence(X[:40].tolist(), npartitions=2)
    expected = EM.in_local_parts(FRAME)
    for data in (delayed, futures):
        assert_identical(fit(EM.make(), data), expected)
    frames = [dask.delayed(FRAME.iloc)[i : i + ROWS] for i in range(0, len(FRAME), ROWS)]
    assert_identical(fit(EM.make(), frames, columns=VISIBLE), expected)
    assert_close(fit(GaussianMixture(1), bag), GaussianMixture(1).fit(X[:40]))


# -- one shot -------------------------------------------------------------------------------------


def test_models_of_the_parts_are_combined_in_one_pass(client: Any) -> None:
    frame = dd.from_pandas(FRAME, npartitions=N_PARTS)
    model, traffic = combined_in_one_pass(frame, FRAME, N_PARTS)
    assert model.random_state == 5
    assert list(model.feature_names_in_) == VISIBLE
    assert traffic.received[0] < N_PARTS * 8192
    with pytest.raises(ValueError, match=r"X: expected at least one row|data: expected at least"):
        fit(model, frame[frame["time"] < 0], method="combine", columns=VISIBLE)
    with pytest.raises(ValueError, match=r"part 0: .*n_components"):
        fit(GaussianMixture(ROWS + 1), frame, method="combine", columns=VISIBLE)


# -- workers that die ----------------------------------------------------------------------------


@pytest.mark.parametrize("of", [EM, HMM], ids=lambda of: of.name)
def test_worker_killed_in_the_middle_of_a_fit_changes_nothing(of: Case, client: Any) -> None:
    killed = []

    def kill(progress: Any) -> None:
        if progress.iteration == 2:
            pids = client.run(os.getpid)
            address, pid = next(iter(pids.items()))
            killed.append(address)
            os.kill(pid, signal.SIGKILL)

    frame = dd.from_pandas(FRAME, npartitions=N_PARTS)
    model = fit(of.make(), frame, columns=of.columns, **of.roles, callback=kill)
    assert killed
    assert killed[0] not in client.scheduler_info()["workers"]
    assert_identical(model, of.in_local_parts(FRAME))


def test_worker_killed_at_work_changes_nothing(client: Any, tmp_path: Any) -> None:
    """It takes its own parameters and statistics with it."""
    flag = str(tmp_path / "killed")

    def of_part(part: Part) -> float:
        if part.number == 2 and not os.path.exists(flag):
            open(flag, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return float(part.X[-1, 0])

    parts = parts_in(client, X, ROWS)
    assert list(parts.map(of_part)) == X[ROWS - 1 :: ROWS, 0].tolist()
    assert os.path.exists(flag)


def test_loss_of_what_cannot_be_made_again_is_said(client: Any) -> None:
    address = next(iter(client.scheduler_info()["workers"]))
    parts = parts_of(client, client.scatter([X], workers=[address]), NO_ROLES, None, None)
    assert list(parts.map(lambda part: len(part.X))) == [len(X)]
    os.kill(client.run(os.getpid)[address], signal.SIGKILL)

    def ask() -> None:
        while True:  # until the scheduler has heard of it
            list(parts.map(lambda part: len(part.X)))

    with pytest.raises(RuntimeError, match="part 0: expected data that Dask can make again, got"):
        ask()


# -- what travels --------------------------------------------------------------------------------


def test_bytes_of_an_iteration_do_not_grow_with_the_rows(client: Any) -> None:
    """All that leaves the workers, for each other or for the client, counted by them; and what ``Traffic`` says."""
    passes = {}
    for rows in (1000, 16_000):
        moved: list[int] = []
        traffic = Traffic()

        def note(_: Any, moved: list[int] = moved) -> None:
            moved.append(_bytes_out(client))

        x = da.from_array(table(rows=rows)[VISIBLE].to_numpy(), chunks=(rows, -1))
        fit(EM.make(), x, callback=note, traffic=traffic)
        first = len(traffic.sent) - 1 - len(moved)  # the last pass is that of what is shown
        sent, received = traffic.sent[first:-1], traffic.received[first:-1]
        excess = np.diff(moved) - np.array(received[1:]) - 2 * np.array(sent[1:])
        assert (excess > 100).sum() <= 1  # Dask may move a chunk to the other worker, once
        passes[rows] = np.array([sent, received])
    assert passes[1000].max() < N_PARTS * 1500  # three Gaussians in three dimensions
    np.testing.assert_allclose(passes[16_000], passes[1000], atol=100)


def _bytes_out(client: Any) -> int:
    counts = client.run(lambda dask_worker: dask_worker.transfer_outgoing_bytes_total)
    return sum(counts.values())


def test_parts_that_are_moved_keep_their_size_and_alignment(client: Any) -> None:
    parts = parts_in(client, X[:, :1], 100).then(lambda part: (part.number, as_matrix(part.X)))
    assert sizeof(_Held((True, Part(X)))) >= X.nbytes

    def aligned(held: Any) -> bool:
        return bool(held.outcome[1][1].flags.aligned)

    for address in client.scheduler_info()["workers"]:
        moved = [client.submit(aligned, future, workers=[address]) for future in parts.futures]
        assert all(client.gather(moved))


# -- parts ---------------------------------------------------------------------------------------


def test_results_come_in_order_and_exceptions_of_the_first_part_first(client: Any) -> None:
    parts = parts_in(client, np.arange(20.0)[:, None], 2)
    assert list(parts.map(lambda part: part.number)) == list(range(10))
    halves = parts.then(lambda part: part.X / 2).then(lambda x: x + 1)
    assert list(halves.map(lambda x: float(x[0, 0]))) == [1.0 + i for i in range(10)]

    def fails(part: Part) -> float:
        if part.number in (4, 7):
            raise KeyError(f"part {part.number}")
        return 0.0

    for failing in (parts.map(fails), parts.then(fails).map(float)):
        assert [next(failing) for _ in range(4)] == [0.0] * 4
        with pytest.raises(KeyError, match="part 4"):
            next(failing)


def test_exception_that_cannot_be_pickled_says_the_same(client: Any) -> None:
    class Odd(Exception):
        def __init__(self, one: int, two: int) -> None:
            super().__init__(f"{one} and {two}")

    def fails(part: Part) -> None:
        raise Odd(1, 2)

    with pytest.raises(RuntimeError, match="Odd: 1 and 2"):
        list(parts_in(client, X, ROWS).map(fails))
    with pytest.raises(TypeError, match="results: expected what can be pickled, got generator"):
        list(parts_in(client, X, ROWS).map(lambda part: (i for i in part.X)))


def test_nothing_stays_on_the_workers_after_a_fit(client: Any) -> None:
    fit(EM.make(), array_of(FRAME, VISIBLE))
    wait_until_forgotten(client)


# -- bad input -----------------------------------------------------------------------------------


def test_client_by_address_and_none_at_all(client: Any) -> None:
    x = array_of(FRAME, VISIBLE)
    address = client.scheduler.address
    assert_identical(fit(EM.make(), x, client=address), fit(EM.make(), x))
    assert default_client() is client
    with pytest.raises(TypeError, match=r"client: expected a distributed\.Client or .*, got int"):
        fit(EM.make(), x, client=3)


def test_a_fit_is_by_its_client_alone(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two event loops at one connection break it, now and then."""

    def default() -> Any:
        raise AssertionError("expected the client of the fit, got the default one")

    loops = []
    original = distributed.as_completed

    def noted(*args: Any, **named: Any) -> Any:
        results = original(*args, **named)
        loops.append(results.loop)
        return results

    monkeypatch.setattr("distributed.as_completed", noted)
    monkeypatch.setattr("distributed.client.default_client", default)
    for order_by in None, "time":
        frame = dd.from_pandas(FRAME, npartitions=N_PARTS)
        with active_client(client.scheduler.address) as connected:
            assert connected is not client
            fit(
                HMM.make(),
                frame,
                client=connected,
                columns=VISIBLE,
                groups="sequence",
                order_by=order_by,
            )
            assert {id(loop) for loop in loops} == {id(connected.loop)} != {id(client.loop)}
        loops.clear()
    assert Client.current() is client


def test_no_client_is_said() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Client, "current", classmethod(_no_client))
        with pytest.raises(ValueError, match=r"client: expected .* got None and there is none"):
            fit(EM.make(), da.zeros((4, 2)))


def _no_client(cls: Any, allow_global: bool = True) -> Any:
    raise ValueError("none")


FRAMES = dd.from_pandas(FRAME, npartitions=N_PARTS)
MATRIX = da.from_array(X, chunks=(ROWS, -1))
WRONG: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
    (X, {}, TypeError, "data: expected a Dask array, .* got ndarray"),
    ([X], {}, TypeError, "data: .* got list of ndarray"),
    (da.zeros(4), {}, ValueError, r"data: expected a 2-D array, got 1-D, shape \(4,\)"),
    ([dask.delayed(1), 2], {}, TypeError, "data: expected delayed objects or futures, got int"),
    (MATRIX, {"method": "magic"}, ValueError, "method: expected one of 'exact', 'combine', got"),
    (MATRIX, {"columns": ["x0"]}, ValueError, "columns: expected None beside a Dask array"),
    (MATRIX, {"order_by": "t"}, ValueError, "order_by: expected None beside a Dask array"),
    (MATRIX, {"labels": "label"}, TypeError, "labels: expected a Dask array .* got str"),
    (MATRIX, {"sample_weight": np.ones(3)}, ValueError, r"sample_weight: expected shape \(2000,\)"),
    (MATRIX, {"groups": MATRIX}, ValueError, "groups: expected a 1-D array, got 2-D"),
    (MATRIX, {"lengths": [600, 1400]}, ValueError, "lengths: .* got sequence 0 with rows 0 to 599 .* before row 500"),
    (MATRIX, {"lengths": [500]}, ValueError, "lengths: expected a sum of 2000 rows, got 500"),
    (MATRIX, {"lengths": [2000.5]}, ValueError, "lengths: expected a list of integers >= 1"),
    (FRAMES, {"lengths": [2000]}, ValueError, "lengths: expected None beside DataFrame"),
    (FRAMES, {"columns": ["y"]}, ValueError, r"columns: expected one of the columns \['x0', .* got 'y'"),
    (FRAMES, {"columns": "x0"}, TypeError, "columns: expected a list of names, got 'x0'"),
    (FRAMES, {"columns": []}, ValueError, "columns: expected at least one name"),
    (FRAMES, {"labels": X}, TypeError, "labels: expected the name of a column of the data, got ndarray"),
    (FRAMES, {"order_by": "time"}, ValueError, "groups: expected the name of a column beside order_by"),
    ([dask.delayed(X)], {"columns": ["x0"]}, TypeError, "columns: expected None beside parts without named columns"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "arguments", "category", "message"), WRONG)
def test_wrong_argument_is_named_and_the_estimator_is_as_before(
    data: Any, arguments: dict[str, Any], category: type[Exception], message: str, client: Any
) -> None:
    assert_refused_as_before(EM.make(), data, {"client": client, **arguments}, category, message)


def test_sequence_in_two_partitions_is_named(client: Any) -> None:
    frame = dd.from_pandas(FRAME, npartitions=3)
    with pytest.raises(
        ValueError, match=r"groups: .* got 's006' in partitions 0 and 1; with order_by"
    ):
        fit(HMM.make(), frame, columns=VISIBLE, groups="sequence")


def test_rows_outside_the_support_are_named_with_their_part(client: Any) -> None:
    x = FRAME[["count"]].to_numpy().astype(float)
    x[700] = -1
    with pytest.raises(ValueError, match=r"part 1: .*-1"):
        fit(PoissonMixture(2), da.from_array(x, chunks=(ROWS, -1)), client=client)


def test_what_is_fitted_has_to_be_an_estimator(client: Any) -> None:
    with pytest.raises(TypeError, match="estimator: expected an estimator, got str"):
        fit("GaussianMixture", MATRIX)  # type: ignore[type-var]
