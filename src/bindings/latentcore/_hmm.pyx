"""Hidden Markov models: what sequences of rows say of the states behind them, given log-densities."""

cimport numpy as cnp
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free

from latentcore._arrays cimport check_double, check_dtype, check_real, check_shape1, check_shape2, data, new, new_zeros, workspace
from latentcore._core cimport api

cnp.import_array()

# The longest of the sequences, which together have n rows.
cdef Py_ssize_t check_begins(object begins, Py_ssize_t n) except -1:
    check_dtype(begins, "begins", 1, cnp.NPY_INT64, "int64")
    cdef Py_ssize_t n_sequences = cnp.PyArray_DIM(<cnp.ndarray>begins, 0) - 1, q, longest = 0
    cdef const int64_t *begin = <const int64_t *>data(begins)
    cdef int64_t length, shortest = 1
    if n_sequences < 0 or begin[0] != 0 or begin[n_sequences] != n:
        got = "an empty array" if n_sequences < 0 else f"{begin[0]} and {begin[n_sequences]}"
        raise ValueError(f"begins: expected to begin with 0 and end with the number of rows, {n}, got {got}")
    for q in range(n_sequences):
        length = begin[q + 1] - begin[q]
        shortest = min(shortest, length)
        longest = max(longest, length)
    if shortest < 1:
        raise ValueError("begins: expected to increase, each sequence having at least one row, got one that does not")
    return longest

cdef int check_transition(object log_transition, Py_ssize_t n_states) except -1:
    check_double(log_transition, "log_transition", 2)
    check_shape2(log_transition, "log_transition", n_states, n_states)
    return 0

# Also that there is a state.
cdef int check_chain(object log_initial, object log_transition, Py_ssize_t n_states) except -1:
    if n_states < 1:
        raise ValueError("log_density: expected at least one state (column), got none")
    check_double(log_initial, "log_initial", 1)
    check_shape1(log_initial, "log_initial", n_states)
    return check_transition(log_transition, n_states)


cdef tuple forward(object log_density, object begins, object log_initial, object log_transition, bint every_row):
    cdef int dtype = check_real(log_density, "log_density", 2)
    cdef Py_ssize_t n = cnp.PyArray_DIM(<cnp.ndarray>log_density, 0), s = cnp.PyArray_DIM(<cnp.ndarray>log_density, 1)
    check_chain(log_initial, log_transition, s)
    cdef Py_ssize_t longest = check_begins(begins, n), n_sequences = cnp.PyArray_DIM(<cnp.ndarray>begins, 0) - 1
    log_likelihood = new(1, n_sequences, 0, 0, cnp.NPY_FLOAT64)
    log_filtered = new(2, n if every_row else n_sequences, s, 0, cnp.NPY_FLOAT64)
    cdef const int64_t *begin = <const int64_t *>data(begins)
    cdef void *density = data(log_density)
    cdef const double *initial = <const double *>data(log_initial)
    cdef const double *transition = <const double *>data(log_transition)
    cdef double *total = <double *>data(log_likelihood)
    cdef double *filtered = <double *>data(log_filtered)
    cdef double *rows = filtered if every_row else NULL
    cdef double *last = NULL if every_row else filtered
    cdef void *work = workspace(
        api.hmm_work_f64(s, longest) if dtype == cnp.NPY_FLOAT64 else api.hmm_work_f32(s, longest))
    with nogil:
        if dtype == cnp.NPY_FLOAT64:
            api.hmm_forward_f64(n_sequences, begin, s, <double *>density, s, initial, transition, total, rows, last, work)
        else:
            api.hmm_forward_f32(n_sequences, begin, s, <float *>density, s, initial, transition, total, rows, last, work)
        free(work)
    return log_likelihood, log_filtered


def hmm_log_likelihood(log_density, begins, log_initial, log_transition):
    """Log-likelihood of each sequence under a hidden Markov model, by the forward recursion (Rabiner 1989).

    Exact for all inputs: structural zeros and hopeless evidence underflow nowhere.

    Parameters
    ----------
    log_density : (N, S) ndarray of float32 or float64, C-contiguous
        log f_j(x_t), nats; -inf where a row is impossible.
    begins : (Q + 1,) ndarray of int64
        From 0 to N, increasing: sequence q has the rows ``begins[q]`` to ``begins[q + 1] - 1``.
    log_initial : (S,) ndarray of float64
        Law of the first state. Need not sum to one, nor need the rows of the transitions.
    log_transition : (S, S) ndarray of float64
        From row to column.

    Returns
    -------
    log_likelihood : (Q,) ndarray of float64
        Nats. -inf if the sequence is impossible, NaN if a log-density is NaN or +inf.
    log_filtered : (Q, S) ndarray of float64
        log p(z_T = j | x_1 ... x_T) at each sequence's last row; -inf or NaN throughout in those two cases.
        The state to carry on from: ``logsumexp(log_filtered[q][:, None] + log_transition, axis=0)`` is the
        ``log_initial`` of a continuation.

    Raises
    ------
    TypeError, ValueError
        A dtype or a shape is wrong, or ``begins`` does not increase from 0 to N.
    """
    return forward(log_density, begins, log_initial, log_transition, False)


def hmm_forward(log_density, begins, log_initial, log_transition):
    """Filtered states of every row, and the log-likelihood of each sequence (Rabiner 1989).

    Parameters
    ----------
    log_density, begins, log_initial, log_transition
        As ``hmm_log_likelihood``.

    Returns
    -------
    log_likelihood : (Q,) ndarray of float64
        As ``hmm_log_likelihood``.
    log_filtered : (N, S) ndarray of float64
        log p(z_t = j | x_1 ... x_t). -inf throughout from the row on that makes a sequence impossible, NaN from the
        row on that is not a number.

    Raises
    ------
    TypeError, ValueError
        As ``hmm_log_likelihood``.
    """
    return forward(log_density, begins, log_initial, log_transition, True)


def hmm_forward_backward(log_density, begins, log_initial, log_transition, weights=None, log_future=None):
    """Posterior probabilities of states, and expected numbers of transitions (Baum, Petrie, Soules & Weiss 1970).

    Parameters
    ----------
    log_density, begins, log_initial, log_transition
        As ``hmm_log_likelihood``.
    weights : (Q,) ndarray of float64, optional
        Of the sequences, at least 0; ones if not given.
    log_future : (S,) ndarray of float64, optional
        Log-density of what follows each sequence, by the state of its last row; zeros if not given.

    Returns
    -------
    log_likelihood : (Q,) ndarray of float64
        As ``hmm_log_likelihood``; ``log_future`` left out.
    posteriors : (N, S) ndarray of the dtype of ``log_density``
        p(z_t = j | x_1 ... x_T) times the sequence's weight. NaN in a sequence that is impossible (with that future)
        or not a number.
    transitions : (S, S) ndarray of float64
        Sum over rows and sequences of p(z_t = i, z_{t+1} = j | x_1 ... x_T), times the weights. An impossible sequence
        adds nothing.
    log_messages : (Q, S) ndarray of float64
        Log-density of each whole sequence by the state of its first row, ``log_initial`` left out, less the largest.
        ``logsumexp(log_transition + log_messages[q], axis=1)`` is the ``log_future`` of what comes before.

    Raises
    ------
    TypeError, ValueError
        As ``hmm_log_likelihood``.
    """
    cdef int dtype = check_real(log_density, "log_density", 2)
    cdef Py_ssize_t n = cnp.PyArray_DIM(<cnp.ndarray>log_density, 0), s = cnp.PyArray_DIM(<cnp.ndarray>log_density, 1)
    check_chain(log_initial, log_transition, s)
    cdef Py_ssize_t longest = check_begins(begins, n), n_sequences = cnp.PyArray_DIM(<cnp.ndarray>begins, 0) - 1
    cdef const double *weight = NULL
    cdef const double *future = NULL
    if weights is not None:
        check_double(weights, "weights", 1)
        check_shape1(weights, "weights", n_sequences)
        weight = <const double *>data(weights)
    if log_future is not None:
        check_double(log_future, "log_future", 1)
        check_shape1(log_future, "log_future", s)
        future = <const double *>data(log_future)
    log_likelihood = new(1, n_sequences, 0, 0, cnp.NPY_FLOAT64)
    posteriors = new(2, n, s, 0, dtype)
    transitions = new_zeros(2, s, s, 0)
    log_messages = new(2, n_sequences, s, 0, cnp.NPY_FLOAT64)
    cdef const int64_t *begin = <const int64_t *>data(begins)
    cdef void *density = data(log_density)
    cdef const double *initial = <const double *>data(log_initial)
    cdef const double *transition = <const double *>data(log_transition)
    cdef double *total = <double *>data(log_likelihood)
    cdef void *posterior = data(posteriors)
    cdef double *pairs = <double *>data(transitions)
    cdef double *messages = <double *>data(log_messages)
    cdef void *work = workspace(
        api.hmm_work_f64(s, longest) if dtype == cnp.NPY_FLOAT64 else api.hmm_work_f32(s, longest))
    with nogil:
        if dtype == cnp.NPY_FLOAT64:
            api.hmm_forward_backward_f64(n_sequences, begin, s, <double *>density, s, initial, transition, weight, future,
                                         total, <double *>posterior, s, pairs, messages, work)
        else:
            api.hmm_forward_backward_f32(n_sequences, begin, s, <float *>density, s, initial, transition, weight, future,
                                         total, <float *>posterior, s, pairs, messages, work)
        free(work)
    return log_likelihood, posteriors, transitions, log_messages


def hmm_viterbi(log_density, begins, log_initial, log_transition, Py_ssize_t end_state=-1):
    """The most probable path of states of each sequence (Viterbi 1967).

    Parameters
    ----------
    log_density, begins, log_initial, log_transition
        As ``hmm_log_likelihood``.
    end_state : int
        The state of the last rows; -1 if it is free.

    Returns
    -------
    states : (N,) ndarray of int32
        The lowest index among equals, at the last row and at every step back. Without meaning where no path is
        possible.
    log_joint : (Q,) ndarray of float64
        Log-density of the path and the rows, nats; -inf if no path is possible, NaN if a log-density is NaN or +inf.
    log_scores : (Q, S) ndarray of float64
        Of the best path to each state of the last row.

    Raises
    ------
    TypeError, ValueError
        As ``hmm_log_likelihood``; or ``end_state`` is no state.
    """
    cdef int dtype = check_real(log_density, "log_density", 2)
    cdef Py_ssize_t n = cnp.PyArray_DIM(<cnp.ndarray>log_density, 0), s = cnp.PyArray_DIM(<cnp.ndarray>log_density, 1)
    check_chain(log_initial, log_transition, s)
    cdef Py_ssize_t longest = check_begins(begins, n), n_sequences = cnp.PyArray_DIM(<cnp.ndarray>begins, 0) - 1
    if end_state < -1 or end_state >= s:
        raise ValueError(f"end_state: expected -1 or a state below {s}, got {end_state}")
    states = new(1, n, 0, 0, cnp.NPY_INT32)
    log_joint = new(1, n_sequences, 0, 0, cnp.NPY_FLOAT64)
    log_scores = new(2, n_sequences, s, 0, cnp.NPY_FLOAT64)
    cdef const int64_t *begin = <const int64_t *>data(begins)
    cdef void *density = data(log_density)
    cdef const double *initial = <const double *>data(log_initial)
    cdef const double *transition = <const double *>data(log_transition)
    cdef int32_t *path = <int32_t *>data(states)
    cdef double *joint = <double *>data(log_joint)
    cdef double *scores = <double *>data(log_scores)
    cdef void *work = workspace(
        api.hmm_viterbi_work_f64(s, longest) if dtype == cnp.NPY_FLOAT64 else api.hmm_viterbi_work_f32(s, longest))
    with nogil:
        if dtype == cnp.NPY_FLOAT64:
            api.hmm_viterbi_f64(n_sequences, begin, s, <double *>density, s, initial, transition, end_state, path, joint,
                                scores, work)
        else:
            api.hmm_viterbi_f32(n_sequences, begin, s, <float *>density, s, initial, transition, end_state, path, joint,
                                scores, work)
        free(work)
    return states, log_joint, log_scores


def hmm_sample(log_filtered, begins, log_transition, uniforms):
    """Paths of states drawn from their posterior law, from the last row to the first (Fruehwirth-Schnatter 1994).

    Parameters
    ----------
    log_filtered : (N, S) ndarray of float64
        As ``hmm_forward`` gives it.
    begins : (Q + 1,) ndarray of int64
    log_transition : (S, S) ndarray of float64
    uniforms : (P, N) ndarray of float64
        Numbers in [0, 1), one for each state to draw.

    Returns
    -------
    (P, N) ndarray of int32
        Paths. -1 where the filtered law is impossible or not a number, and before that in the sequence.

    Raises
    ------
    TypeError, ValueError
        A dtype or a shape is wrong, or ``begins`` does not increase from 0 to N.
    """
    check_double(log_filtered, "log_filtered", 2)
    cdef Py_ssize_t n = cnp.PyArray_DIM(<cnp.ndarray>log_filtered, 0), s = cnp.PyArray_DIM(<cnp.ndarray>log_filtered, 1)
    if s < 1:
        raise ValueError("log_filtered: expected at least one state (column), got none")
    check_transition(log_transition, s)
    check_begins(begins, n)
    cdef Py_ssize_t n_sequences = cnp.PyArray_DIM(<cnp.ndarray>begins, 0) - 1
    check_double(uniforms, "uniforms", 2)
    cdef Py_ssize_t n_paths = cnp.PyArray_DIM(<cnp.ndarray>uniforms, 0)
    check_shape2(uniforms, "uniforms", n_paths, n)
    states = new(2, n_paths, n, 0, cnp.NPY_INT32)
    cdef const int64_t *begin = <const int64_t *>data(begins)
    cdef const double *filtered = <const double *>data(log_filtered)
    cdef const double *transition = <const double *>data(log_transition)
    cdef const double *uniform = <const double *>data(uniforms)
    cdef int32_t *path = <int32_t *>data(states)
    cdef void *work = workspace(api.hmm_sample_work(s))
    with nogil:
        api.hmm_sample(n_sequences, begin, s, filtered, transition, n_paths, uniform, n, path, work)
        free(work)
    return states
