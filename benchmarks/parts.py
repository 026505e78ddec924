"""What is measured: each part yields the lines of its table."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp as scipy_logsumexp
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

import cluster
import contests
import streams
from contests import Contest
from fits import Library, check_agreement, fit
from hmm import LONG_CHAINS, ChainProblem, Chains, Solver, all_solvers, make_chains
from hmm import check_agreement as check_solvers
from latentcore import kernels
from latentcore.arrays import Rows
from latentcore.families.gaussian import Gaussian
from latentcore.initialization import initial_statistics
from memory import peak_of_bayesian_fit, peak_of_chains, peak_of_documents, peak_of_fit
from shapes import (
    BAYESIAN_SHAPES,
    LLOYD_SHAPES,
    OLD_FAITHFUL,
    SHAPES,
    Clusters,
    DType,
    Problem,
    Shape,
    make,
)
from timing import (
    Clock,
    Effort,
    cpu,
    cpu_of_all_threads,
    interleaved,
    iterations_within,
    ratios,
    seconds_of,
    seconds_per_iteration,
    wall,
)

Row = dict[str, str | float]
"""A line of a table, by heading; all lines of a table have the same headings."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure, and how carefully."""

    shapes: list[Shape]
    chains: list[Chains]
    dtypes: list[DType]
    effort: Effort

    def problems(self, clusters: Clusters = "overlapping") -> Iterator[Problem]:
        for dtype in self.dtypes:
            for shape in self.shapes:
                yield make(shape, dtype, clusters)


# -- an EM iteration ------------------------------------------------------------------------------


def em(plan: Plan) -> Iterator[Row]:
    """EM iteration, overlapping clusters, one thread, CPU time."""
    with threadpool_limits(1):
        for problem in plan.problems():
            goal = problem.shape.goal if problem.x.dtype == np.float64 else None
            yield {**_em_on_one_thread(problem, plan.effort), "goal": "" if goal is None else goal}


def separated(plan: Plan) -> Iterator[Row]:
    """EM iteration, separated clusters, one thread, CPU time."""
    with threadpool_limits(1):
        for problem in plan.problems("separated"):
            if problem.shape.covariance_type == "full" and problem.shape.n_features >= 32:
                yield _em_on_one_thread(problem, plan.effort)


def threads(plan: Plan) -> Iterator[Row]:
    """EM iteration, overlapping clusters, two threads against two, wall clock."""
    with threadpool_limits(2):
        for problem in plan.problems():
            counts = _counts(problem, 2, plan.effort)
            ours, theirs, alone = interleaved(
                plan.effort.repeats,
                partial(_iteration, "latentcore", problem, counts, 2, wall),
                partial(_iteration, "scikit-learn", problem, counts, 2, wall),
                partial(_iteration, "latentcore", problem, counts, 1, wall),
            )
            speedup = median(ratios(alone, ours))
            yield {**_what(problem), **_compared(ours, theirs), "over one thread": speedup}


def _em_on_one_thread(problem: Problem, effort: Effort) -> Row:
    counts = _counts(problem, 1, effort)
    ours, theirs = interleaved(
        effort.repeats,
        partial(_iteration, "latentcore", problem, counts, 1, cpu),
        partial(_iteration, "scikit-learn", problem, counts, 1, cpu),
    )
    return {**_what(problem), **_compared(ours, theirs)}


def _counts(problem: Problem, n_threads: int, effort: Effort) -> dict[Library, int]:
    """How many iterations more the longer fit of each library does, once both are found to agree."""
    seconds = check_agreement(problem, n_threads)
    return {
        "latentcore": iterations_within(effort.ours, seconds["latentcore"]),
        "scikit-learn": iterations_within(effort.theirs, seconds["scikit-learn"]),
    }


def _iteration(
    library: Library, problem: Problem, counts: dict[Library, int], n_threads: int, clock: Clock
) -> float:
    """Seconds."""
    return seconds_per_iteration(
        lambda n: fit(library, problem, n, n_threads), counts[library], clock
    )


def _what(problem: Problem) -> Row:
    return {"shape": problem.shape.name, "dtype": problem.x.dtype.name}


def _compared(ours: list[float], theirs: list[float], peer: str = "scikit-learn") -> Row:
    ratio = ratios(theirs, ours)
    return {
        f"{peer} ms": median(theirs) * 1e3,
        "latentcore ms": median(ours) * 1e3,
        "ratio": median(ratio),
        "lowest": ratio[0],
        "highest": ratio[-1],
    }


# -- other parts ----------------------------------------------------------------------------------


def logsumexp(plan: Plan) -> Iterator[Row]:
    """Log-sum-exp of each row, one thread, CPU time."""
    n_rows = 20_000 if plan.effort.quick else 1_000_000
    for dtype in plan.dtypes:
        a = 10 * np.random.default_rng(0).standard_normal((n_rows, 16), np.dtype(dtype).type)
        np.testing.assert_allclose(
            kernels.logsumexp(a),
            scipy_logsumexp(a, axis=1),
            rtol=1e-5 if dtype == "float32" else 1e-12,
        )
        ours, theirs = interleaved(
            5 * plan.effort.repeats,
            partial(seconds_of, partial(kernels.logsumexp, a)),
            partial(seconds_of, partial(scipy_logsumexp, a, axis=1)),
        )
        yield {
            "shape": f"{n_rows} x 16",
            "dtype": dtype,
            **_compared(ours, theirs, "scipy"),
            "goal": 12 if dtype == "float64" else "",
        }


def overhead(plan: Plan) -> Iterator[Row]:
    """Fit of 272 x 2 rows, K = 2, 100 iterations, one thread: microseconds of an iteration."""
    problem = make(OLD_FAITHFUL)
    with threadpool_limits(1):
        check_agreement(problem, 1)
        counts: dict[Library, int] = {"latentcore": 100, "scikit-learn": 100}
        ours, theirs, sweep = interleaved(
            10 * plan.effort.repeats,
            partial(_iteration, "latentcore", problem, counts, 1, cpu),
            partial(_iteration, "scikit-learn", problem, counts, 1, cpu),
            partial(_kernel_alone, problem),
        )
    yield {
        "scikit-learn": median(theirs) * 1e6,
        "latentcore": median(ours) * 1e6,
        "of that, the kernel": median(sweep) * 1e6,
        "overhead": (median(ours) - median(sweep)) * 1e6,
        "goal": 20,
    }


def _kernel_alone(problem: Problem, n_calls: int = 100) -> float:
    """Seconds of the compiled sweep of one iteration."""
    model: Any = fit("latentcore", problem, 1, 1)
    factors: npt.NDArray[np.float64] = model.precisions_cholesky_
    log_determinants = np.log(factors.diagonal(axis1=1, axis2=2)).sum(axis=1)
    n_features = problem.shape.n_features
    offsets = np.log(model.weights_) + log_determinants - n_features / 2 * math.log(2 * math.pi)

    def sweeps() -> None:
        for _ in range(n_calls):
            kernels.gaussian_em_sweep(problem.x, None, offsets, model.means_, factors, "full")

    return seconds_of(sweeps) / n_calls


def memory(plan: Plan) -> Iterator[Row]:
    """Peak memory of a fit beyond its data, MiB, each library with its own choice of threads."""
    for dtype in plan.dtypes:
        for shape in plan.shapes:
            yield {
                "shape": shape.name,
                "dtype": dtype,
                "data": shape.n_rows * shape.n_features * np.dtype(dtype).itemsize / 2**20,
                "scikit-learn": peak_of_fit("scikit-learn", shape, dtype),
                "latentcore": peak_of_fit("latentcore", shape, dtype),
                "goal": 32,
            }


def kmeans(plan: Plan) -> Iterator[Row]:
    """k-means start of a fit, separated clusters, one thread, CPU time; the same seed."""
    with threadpool_limits(1):
        for problem in plan.problems("separated"):
            if problem.shape.covariance_type != "full":
                continue
            found: dict[Library, float] = {}
            ours, theirs = interleaved(
                plan.effort.repeats,
                partial(seconds_of, partial(_our_kmeans, problem, found)),
                partial(seconds_of, partial(_their_kmeans, problem, found)),
            )
            inertia = found["latentcore"] / found["scikit-learn"]
            yield {**_what(problem), **_compared(ours, theirs), "inertia ratio": inertia}


def _our_kmeans(problem: Problem, inertia: dict[Library, float]) -> None:
    """The moments of the clusters too, which are what a fit begins with."""
    seed = np.random.RandomState(0)
    stats = initial_statistics(
        Gaussian("spherical"),
        Rows(problem.x),
        problem.shape.n_components,
        "kmeans",
        seed,
        n_threads=1,
    )
    inertia["latentcore"] = float(stats.components.scatters.sum())


def _their_kmeans(problem: Problem, inertia: dict[Library, float]) -> None:
    model = KMeans(problem.shape.n_components, n_init=1, random_state=np.random.RandomState(0))
    inertia["scikit-learn"] = float(model.fit(problem.x).inertia_)


def lloyd(plan: Plan) -> Iterator[Row]:
    """Iteration of Lloyd's algorithm from given centers, overlapping clusters, one thread, CPU time."""
    yield from _beside_kmeans(plan, contests.lloyd)


# -- other mixtures -------------------------------------------------------------------------------


def pomegranate(plan: Plan) -> Iterator[Row]:
    """EM iteration of mixtures of Poissons and of Bernoullis, one thread, CPU time."""
    if not contests.pomegranate_is_installed():
        print(
            "NOT MEASURED: pomegranate is not installed; pip install --group bench-torch",
            file=sys.stderr,
        )
        return
    with threadpool_limits(1):
        for dtype in plan.dtypes:
            yield _timed(contests.poisson(_of(contests.POISSON, plan), dtype), plan, "pomegranate")
            yield _timed(
                contests.bernoulli(_of(contests.BERNOULLI, plan), dtype), plan, "pomegranate"
            )


def sparse(plan: Plan) -> Iterator[Row]:
    """EM iteration of a mixture of multinomials on sparse rows, 1 % dense, one thread, CPU time."""
    with threadpool_limits(1):
        for dtype in plan.dtypes:
            yield _timed(contests.multinomial(_of(contests.DOCUMENTS, plan), dtype), plan, "scipy")


def hard(plan: Plan) -> Iterator[Row]:
    """Iteration of hard EM that is k-means, as the model runs it, overlapping clusters, one thread, CPU time."""
    yield from _beside_kmeans(plan, contests.hard)


def _beside_kmeans(plan: Plan, contest: Callable[[Problem], Contest]) -> Iterator[Row]:
    shapes = [shape.shrunk() for shape in LLOYD_SHAPES] if plan.effort.quick else LLOYD_SHAPES
    with threadpool_limits(1):
        for problem in replace(plan, shapes=list(shapes)).problems():
            yield _timed(contest(problem), plan, "KMeans")


def missing(plan: Plan) -> Iterator[Row]:
    """EM iteration with 5 % of the entries missing, beside complete rows; one thread, CPU time."""
    with threadpool_limits(1):
        for dtype in plan.dtypes:
            shape = contests.GAPS.shrunk() if plan.effort.quick else contests.GAPS
            contests.check_marginals(shape, dtype)
            contest = contests.gaps(shape, dtype)
            gaps, complete = _seconds(contest, plan.effort)
            yield {
                "shape": contest.shape,
                "dtype": dtype,
                "complete ms": median(complete) * 1e3,
                "with gaps ms": median(gaps) * 1e3,
                "times": median(ratios(gaps, complete)),
            }


def bayesian(plan: Plan) -> Iterator[Row]:
    """Iteration of variational inference with Gaussians, one thread, CPU time; ratio of EM iterations; memory, MiB."""
    shapes = [shape.shrunk() for shape in BAYESIAN_SHAPES] if plan.effort.quick else BAYESIAN_SHAPES
    for problem in replace(plan, shapes=list(shapes)).problems():
        dtype: DType = "float64" if problem.x.dtype == np.float64 else "float32"
        with threadpool_limits(1):
            row = _timed(contests.bayesian(problem), plan, "scikit-learn")
            em_ratio = _em_on_one_thread(problem, plan.effort)["ratio"]
        row.pop("goal")
        yield {
            **row,
            "EM ratio": em_ratio,
            "scikit-learn MiB": peak_of_bayesian_fit("scikit-learn", problem.shape, dtype),
            "latentcore MiB": peak_of_bayesian_fit("latentcore", problem.shape, dtype),
        }


def sparse_memory(plan: Plan) -> Iterator[Row]:
    """Peak memory of a fit to sparse rows beyond its data, MiB; responsibilities would take rows x components."""
    for dtype in plan.dtypes:
        for sizes in (contests.DOCUMENTS, contests.LONG_DOCUMENTS):
            sizes = _of(sizes, plan)
            peak, data = peak_of_documents(sizes, dtype)
            itemsize = np.dtype(dtype).itemsize
            yield {
                "shape": sizes.named("multinomial"),
                "dtype": dtype,
                "data": data,
                "rows x components": sizes.n_rows * sizes.n_components * itemsize / 2**20,
                "latentcore": peak,
            }


# -- streams --------------------------------------------------------------------------------------


def partial_fit(plan: Plan) -> Iterator[Row]:
    """A pass over a stream of batches, one thread, CPU time; rivals' seconds over ours; microseconds by batch."""
    problem = streams.stream(plan.effort.quick)
    with threadpool_limits(1):
        for batch_size in streams.BATCH_SIZES:
            measurements = streams.measurements(problem, batch_size)
            seconds = dict(
                zip(
                    measurements,
                    interleaved(plan.effort.repeats, *measurements.values()),
                    strict=True,
                )
            )
            ours = seconds.pop("latentcore")
            whole, sweep = streams.overhead(problem, batch_size)
            yield {
                "shape": problem.shape.name,
                "batch": str(batch_size),
                "rows/s": len(problem.x) / median(ours),
                **{
                    f"{name} / ours": median(ratios(theirs, ours))
                    for name, theirs in seconds.items()
                },
                "us a batch": whole,
                "us of sweep": sweep,
            }


# -- hidden Markov models -------------------------------------------------------------------------


def baum_welch(plan: Plan) -> Iterator[Row]:
    """Iteration of Baum-Welch, one thread, CPU time: hmmlearn with "scaling" and with "log", and dynamax, float64."""
    for problem, solvers in _chains(plan):
        check_solvers(
            problem, "log-likelihoods after one iteration", solvers, lambda solver: solver.fit(2)
        )
        seconds = _seconds_of_solvers(solvers, plan.effort, _iteration_of_solver)
        yield {**_beside_rivals(problem, seconds), "goal": problem.chains.goal or ""}


def hmm_score(plan: Plan) -> Iterator[Row]:
    """Log-likelihood of sequences, one thread, CPU time: as baum-welch."""
    for problem, solvers in _chains(plan):
        check_solvers(problem, "log-likelihoods", solvers, lambda solver: solver.score())
        seconds = _seconds_of_solvers(
            solvers, plan.effort, lambda solver, n: _calls(solver.score, n)
        )
        yield _beside_rivals(problem, seconds)


def viterbi(plan: Plan) -> Iterator[Row]:
    """Most probable states of sequences, one thread, CPU time: as baum-welch."""
    for problem, solvers in _chains(plan):
        check_solvers(
            problem,
            "densities of the best paths",
            solvers,
            lambda solver: solver.path_density(solver.decode()),
        )
        seconds = _seconds_of_solvers(
            solvers, plan.effort, lambda solver, n: _calls(solver.decode, n)
        )
        yield {**_beside_rivals(problem, seconds), "goal": problem.chains.viterbi_goal or ""}


def hmm_memory(plan: Plan) -> Iterator[Row]:
    """Peak memory of a fit of a long sequence beyond its data, MiB, each library with its own choice of threads."""
    for chains in LONG_CHAINS:
        if plan.effort.quick:
            chains = chains.shrunk()
        n_rows = chains.n_rows
        yield {
            "shape": chains.name,
            "data": n_rows * chains.size * 8 / 2**20,
            "rows x states": n_rows * chains.n_states * 8 / 2**20,
            "latentcore": peak_of_chains(chains),
            "goal": 256,
        }


_BoundMeasurement = Callable[[Solver, int], float]
"""Seconds of a unit of work, from so many of them."""


def _chains(plan: Plan) -> Iterator[tuple[ChainProblem, dict[str, Solver]]]:
    with threadpool_limits(1):
        for chains in plan.chains:
            problem = make_chains(chains)
            yield problem, all_solvers(problem)


def _seconds_of_solvers(
    solvers: dict[str, Solver], effort: Effort, measure: _BoundMeasurement
) -> dict[str, list[float]]:
    """Of one unit of work, several times, the solvers in turn."""
    measurements = []
    for name, solver in solvers.items():
        budget = effort.ours if name == "latentcore" else effort.theirs
        rough = max(1e-9, measure(solver, 1))
        measurements.append(partial(measure, solver, iterations_within(budget, rough)))
    return dict(zip(solvers, interleaved(effort.repeats, *measurements), strict=True))


def _iteration_of_solver(solver: Solver, n_more: int) -> float:
    return seconds_per_iteration(solver.fit, n_more, cpu_of_all_threads)


def _calls(work: Callable[[], object], n_calls: int) -> float:
    def calls() -> None:
        for _ in range(n_calls):
            work()

    return seconds_of(calls, cpu_of_all_threads) / n_calls


def _beside_rivals(problem: ChainProblem, seconds: dict[str, list[float]]) -> Row:
    ours = seconds["latentcore"]
    row: Row = {"shape": problem.chains.name, "latentcore ms": median(ours) * 1e3}
    for rival in ("scaling", "log", "dynamax"):
        if rival in seconds:
            row[f"{rival} ms"] = median(seconds[rival]) * 1e3
            row[f"over {rival}"] = median(ratios(seconds[rival], ours))
        else:
            row[f"{rival} ms"] = row[f"over {rival}"] = ""
    return row


def _of(sizes: contests.Sizes, plan: Plan) -> contests.Sizes:
    return sizes.shrunk() if plan.effort.quick else sizes


def _timed(contest: Contest, plan: Plan, peer: str) -> Row:
    contest.check_agreement()
    ours, theirs = _seconds(contest, plan.effort)
    goal = contest.goal if contest.dtype == "float64" else None
    return {
        "shape": contest.shape,
        "dtype": contest.dtype,
        **_compared(ours, theirs, peer),
        "goal": "" if goal is None else goal,
    }


def _seconds(contest: Contest, effort: Effort) -> list[list[float]]:
    """Of an iteration, ours and theirs, several times; more often if it is only a few iterations that are timed."""
    measurements = []
    for fit_, budget in ((contest.ours, effort.ours), (contest.theirs, effort.theirs)):
        rough = seconds_of(partial(fit_, 2)) / 3  # with the objective, which is half an iteration
        n_more = contest.n_more or iterations_within(budget, rough)
        measurements.append(partial(seconds_per_iteration, fit_, n_more))
    repeats = effort.repeats if contest.n_more is None else 5 * effort.repeats
    return interleaved(repeats, *measurements)


# -- clusters -------------------------------------------------------------------------------------


def clusters(plan: Plan) -> Iterator[Row]:
    """EM iteration on a Dask cluster of two processes of one thread each, beside one process, wall clock."""
    if not cluster.is_installed():
        print(
            "NOT MEASURED: distributed is not installed; pip install distributed", file=sys.stderr
        )
        return
    shape = next(shape for shape in SHAPES if shape.name == "full-1e6-8-16")
    problem = make(shape.shrunk() if plan.effort.quick else shape)
    n = 4 if plan.effort.quick else 12
    with threadpool_limits(1), cluster.workers() as client:
        rounds = [
            (
                cluster.on_one_machine(problem, n, 1),
                cluster.on_one_machine(problem, n, cluster.N_WORKERS),
                cluster.on_the_cluster(client, problem, n),
            )
            for _ in range(plan.effort.repeats)
        ]
    for fits in rounds:
        cluster.check_agreement(*fits)
    alone, threaded, ours = ([fit.seconds for fit in fits] for fits in zip(*rounds, strict=True))
    yield {
        "shape": problem.shape.name,
        "one thread ms": median(alone) * 1e3,
        "two threads ms": median(threaded) * 1e3,
        "cluster ms": median(ours) * 1e3,
        "over one thread": median(ratios(alone, ours)),
        "over two": median(ratios(threaded, ours)),
        "KiB to a worker": rounds[0][-1].sent / 1024,
        "KiB back": rounds[0][-1].received / 1024,
    }


PARTS: dict[str, Callable[[Plan], Iterator[Row]]] = {
    "em": em,
    "separated": separated,
    "threads": threads,
    "memory": memory,
    "logsumexp": logsumexp,
    "overhead": overhead,
    "kmeans": kmeans,
    "lloyd": lloyd,
    "pomegranate": pomegranate,
    "sparse": sparse,
    "hard": hard,
    "missing": missing,
    "sparse-memory": sparse_memory,
    "bayesian": bayesian,
    "baum-welch": baum_welch,
    "hmm-score": hmm_score,
    "viterbi": viterbi,
    "hmm-memory": hmm_memory,
    "partial-fit": partial_fit,
    "cluster": clusters,
}
