"""Mistakes that mypy --strict must find: on every marked line the named error, and nowhere else."""

from __future__ import annotations

import numpy as np

import latentcore
from latentcore import BernoulliMixture, GaussianMixture, PoissonMixture, kernels
from latentcore.families.bernoulli import BetaPrior
from latentcore.families.gaussian import Gaussian, GaussianStatistics
from latentcore.rules.em import EM
from latentcore.structures.mixture import Mixture

x = np.zeros((5, 2))
x_single = np.zeros((5, 2), np.float32)

kernels.logsumexp([1.0, 2.0])  # error: arg-type
kernels.responsibilities(x, x_single)  # error: type-var
kernels.logsumexp(x, output=x)  # error: call-arg
kernels.log_sum_exp(x)  # error: attr-defined
kernels.isa_force(3)  # error: arg-type
name: int = kernels.isa()  # error: assignment
labels: list[int] = GaussianMixture(2).fit(x).predict(x)  # error: assignment
GaussianMixture(2, covariances="full")  # error: call-arg
GaussianMixture(2).fit(x).weights  # error: attr-defined
PoissonMixture(2, prior=BetaPrior(x, x))  # error: arg-type
PoissonMixture(2, prior="strong")  # error: arg-type
PoissonMixture(2).fit(x).probabilities_  # error: attr-defined
PoissonMixture(2, covariance_type="full")  # error: call-arg
BernoulliMixture(2, assignment="firm")  # error: arg-type
GaussianMixture(2).fit(x, label=[0])  # error: call-arg
GaussianMixture(2, online="fast")  # error: arg-type
latentcore.Online(inertia="none")  # error: arg-type
latentcore.Mixture(3)  # error: call-overload
latentcore.Mixture("normal")  # error: call-overload
Gaussian("banana")  # error: arg-type
Mixture(family="gaussian")  # error: arg-type
EM(Gaussian())  # error: arg-type
latentcore.combine(3)  # error: call-overload
latentcore.combine([PoissonMixture(2)], align="best")  # error: arg-type
latentcore.set_num_threads("all")  # error: arg-type


def difference(a: GaussianStatistics, b: GaussianStatistics) -> GaussianStatistics:
    c: GaussianStatistics = a - b  # error: operator
    return c
