/* The table of this copy. */
#include "kernels.h"

#define TABLE_(name, isa) lc_##name##_##isa
#define TABLE(name, isa) TABLE_(name, isa)

#if LC_F32
const lc_table_f32 TABLE(f32, LC_ISA) = {
#else
const lc_table_f64 TABLE(f64, LC_ISA) = {
#endif
    .exp = LC_KERNEL(exp),
    .log = LC_KERNEL(log),
    .logspace_work = LC_KERNEL(logspace_work),
    .logsumexp = LC_KERNEL(logsumexp),
    .responsibilities = LC_KERNEL(responsibilities),
    .mixture_work = LC_KERNEL(mixture_work),
    .mixture_csr_work = LC_KERNEL(mixture_csr_work),
    .mixture_em_sweep = LC_KERNEL(mixture_em_sweep),
    .mixture_rows = LC_KERNEL(mixture_rows),
    .mixture_moments = LC_KERNEL(mixture_moments),
    .kmeans_work = LC_KERNEL(kmeans_work),
    .kmeans_sweep = LC_KERNEL(kmeans_sweep),
    .kmeans_potentials = LC_KERNEL(kmeans_potentials),
    .lgamma = LC_KERNEL(lgamma),
    .digamma = LC_KERNEL(digamma),
    .trigamma = LC_KERNEL(trigamma),
    .sin_cos = LC_KERNEL(sin_cos),
};

#if !LC_F32
const lc_table_parameters TABLE(parameters, LC_ISA) = {
    .cholesky = LC_KERNEL(cholesky),
    .inverse_transpose = LC_KERNEL(inverse_transpose),
    .gaussian_statistics = LC_KERNEL(gaussian_statistics),
    .gaussian_add = LC_KERNEL(gaussian_add),
    .gaussian_covariances = LC_KERNEL(gaussian_covariances),
    .gaussian_factors = LC_KERNEL(gaussian_factors),
    .gaussian_expected = LC_KERNEL(gaussian_expected),
    .multivariate_lgamma = LC_KERNEL(multivariate_lgamma),
    .hmm_work = LC_KERNEL(hmm_work),
    .hmm_forward = LC_KERNEL(hmm_forward),
    .hmm_forward_backward = LC_KERNEL(hmm_forward_backward),
    .hmm_viterbi_work = LC_KERNEL(hmm_viterbi_work),
    .hmm_viterbi = LC_KERNEL(hmm_viterbi),
    .hmm_sample_work = LC_KERNEL(hmm_sample_work),
    .hmm_sample = LC_KERNEL(hmm_sample),
};
#endif
