/* Hidden Markov models: what Q sequences of rows say of the states behind them, given log-densities.
 *
 * The rows of all sequences lie one after another: sequence q has the rows t = begins[q] to begins[q + 1] - 1, at least
 * one. Row t of the log-densities, b_t(j) = log f_j(x_t), starts at log_density + t * stride. With p the law of the first
 * state and A the transitions, both given as logarithms, a sequence of T rows and a path z of states have the density
 *
 *     p(z_1) f_{z_1}(x_1) A(z_1, z_2) f_{z_2}(x_2) ... A(z_{T-1}, z_T) f_{z_T}(x_T).
 *
 * Laws need not sum to one, and -inf is an exact zero. Nothing is lost to underflow or overflow, however unlikely the
 * rows, and however small a probability whose logarithm is given: see hmm_wide.c and hmm_scaled.c for the way. So no
 * sequence that is possible is called impossible, and none gets a wrong number. Sequences do not depend on their company:
 * the same rows give the same bits. (A state that is 2^900 nats or more behind another counts for nothing.)
 *
 * A sequence that no path explains has the log-likelihood -inf. One with a log-density that is NaN or +inf has the
 * log-likelihood NaN, and so has every sequence if log_initial or log_transition has such an entry (transitions count
 * from the second row on).
 *
 * Arithmetic is in double for both precisions. Sources: Rabiner (1989); Devijver (1985) for the scaled recursions. */
#ifndef LATENTCORE_HMM_H
#define LATENTCORE_HMM_H

#include <stdint.h>

#include "latentcore/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of workspace for the functions below, of S states and `longest` rows in the longest sequence. */
LC_PUBLIC size_t lc_hmm_work_f64(ptrdiff_t n_states, ptrdiff_t longest);
LC_PUBLIC size_t lc_hmm_work_f32(ptrdiff_t n_states, ptrdiff_t longest);

/* Forward: log-likelihoods and filtered states, log p(z_t = j | x_1 ... x_t).
 *   n_sequences     Q >= 0
 *   begins          Q + 1 increasing row numbers >= 0, read
 *   n_states        S >= 1
 *   log_density     rows x S, read; row t starts at log_density + t * stride
 *   log_initial     S, read
 *   log_transition  S x S, read; from row to column
 *   log_likelihood  Q, written (nats)
 *   log_filtered    rows x S, row t at log_filtered + t * S, written: -inf from the row on that makes the sequence
 *                   impossible, NaN from the row on that holds a NaN; or NULL
 *   log_last        Q x S, written: log_filtered of the last rows; or NULL
 *   work            lc_hmm_work_f64(S, longest sequence) bytes, no meaning on return
 *
 * A long sequence may go segment by segment: the next segment's log_initial(j) is
 * log sum_i exp(log_last(i) + log_transition(i, j)), and the log-likelihoods add up. */
LC_PUBLIC lc_status lc_hmm_forward_f64(ptrdiff_t n_sequences, const int64_t *begins, ptrdiff_t n_states,
                                       const double *log_density, ptrdiff_t stride, const double *log_initial,
                                       const double *log_transition, double *log_likelihood, double *log_filtered,
                                       double *log_last, void *work);
LC_PUBLIC lc_status lc_hmm_forward_f32(ptrdiff_t n_sequences, const int64_t *begins, ptrdiff_t n_states,
                                       const float *log_density, ptrdiff_t stride, const double *log_initial,
                                       const double *log_transition, double *log_likelihood, double *log_filtered,
                                       double *log_last, void *work);

/* Forward-backward: posteriors p(z_t = j | x_1 ... x_T), and the sums over rows and sequences of
 * p(z_t = i, z_{t+1} = j | x_1 ... x_T), which are never stored row by row.
 *   weights         Q, read: of the sequences, >= 0; or NULL for ones
 *   log_future      S, read: the log-density of what follows the last rows, by their state; or NULL if nothing does
 *   posteriors      rows x S, row t at posteriors + t * posteriors_stride, written: times the sequence's weight
 *   transitions     S x S, += : times the weights
 *   log_messages    Q x S, written, or NULL: log-densities of each whole sequence by the state of its first row,
 *                   log_initial left out, less the largest
 * Other arguments as above; log_likelihood leaves log_future out. A sequence whose log-likelihood is not finite, or
 * that is impossible with that future, has posteriors and messages NaN and adds nothing to the transitions.
 *
 * Segments of a long sequence go from the last to the first: log_future(i) of a segment is
 * log sum_j exp(log_transition(i, j) + log_message(j)) of the one after; the pair across the cut has the law
 * exp(log_last(i) + log_transition(i, j) + log_message(j)), normalised. */
LC_PUBLIC lc_status lc_hmm_forward_backward_f64(ptrdiff_t n_sequences, const int64_t *begins, ptrdiff_t n_states,
                                                const double *log_density, ptrdiff_t stride, const double *log_initial,
                                                const double *log_transition, const double *weights,
                                                const double *log_future, double *log_likelihood, double *posteriors,
                                                ptrdiff_t posteriors_stride, double *transitions, double *log_messages,
                                                void *work);
LC_PUBLIC lc_status lc_hmm_forward_backward_f32(ptrdiff_t n_sequences, const int64_t *begins, ptrdiff_t n_states,
                                                const float *log_density, ptrdiff_t stride, const double *log_initial,
                                                const double *log_transition, const double *weights,
                                                const double *log_future, double *log_likelihood, float *posteriors,
                                                ptrdiff_t posteriors_stride, double *transitions, double *log_messages,
                                                void *work);

/* Bytes of workspace for lc_hmm_viterbi. */
LC_PUBLIC size_t lc_hmm_viterbi_work_f64(ptrdiff_t n_states, ptrdiff_t longest);
LC_PUBLIC size_t lc_hmm_viterbi_work_f32(ptrdiff_t n_states, ptrdiff_t longest);

/* The most probable path of each sequence (Viterbi 1967):
 *
 *     delta_t(j) = b_t(j) + max_i (delta_{t-1}(i) + log_transition(i, j)),
 *
 * the lowest index among equals, at the last row and at every step back.
 *   end_state       the state of the last rows; -1 if it is free
 *   states          rows, written. Of a sequence with no possible path: any states
 *   log_joint       Q, written: log-density of the path and the rows
 *   log_scores      Q x S, written, or NULL: delta of the last rows
 *   work            lc_hmm_viterbi_work_f64(S, longest sequence) bytes, no meaning on return
 * A sequence with a log-density that is NaN or +inf has log_joint and log_scores NaN. Other arguments as above. */
LC_PUBLIC lc_status lc_hmm_viterbi_f64(ptrdiff_t n_sequences, const int64_t *begins, ptrdiff_t n_states,
                                       const double *log_density, ptrdiff_t stride, const double *log_initial,
                                       const double *log_transition, ptrdiff_t end_state, int32_t *states,
                                       double *log_joint, double *log_scores, void *work);
LC_PUBLIC lc_status lc_hmm_viterbi_f32(ptrdiff_t n_sequences, const int64_t *begins, ptrdiff_t n_states,
                                       const float *log_density, ptrdiff_t stride, const double *log_initial,
                                       const double *log_transition, ptrdiff_t end_state, int32_t *states,
                                       double *log_joint, double *log_scores, void *work);

/* Bytes of workspace for lc_hmm_sample. */
LC_PUBLIC size_t lc_hmm_sample_work(ptrdiff_t n_states);

/* Paths from their posterior law, drawn from the last row to the first (Fruehwirth-Schnatter 1994): the state of row t
 * is the first one whose cumulative weight exceeds uniform * total.
 *   log_filtered    rows x S, read, as lc_hmm_forward gives it; row t starts at log_filtered + t * S
 *   n_paths         P >= 0
 *   uniforms        P x rows, read: numbers in [0, 1); path p starts at uniforms + p * path_stride
 *   path_stride     >= begins[Q]
 *   states          P x rows, written likewise; -1 where the filtered law is impossible or not a number, and before
 *   work            lc_hmm_sample_work(S) bytes, no meaning on return */
LC_PUBLIC lc_status lc_hmm_sample(ptrdiff_t n_sequences, const int64_t *begins, ptrdiff_t n_states,
                                  const double *log_filtered, const double *log_transition, ptrdiff_t n_paths,
                                  const double *uniforms, ptrdiff_t path_stride, int32_t *states, void *work);

#ifdef __cplusplus
}
#endif
#endif
