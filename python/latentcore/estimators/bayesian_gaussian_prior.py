"""From scikit-learn's prior arguments of a Gaussian mixture to its conjugate prior, and from the posterior back.

scikit-learn counts degrees of freedom once for each component. The same posterior of what is estimated, means and
covariances, is in our terms, where nu and Psi are of what is really distributed:

    full, diag      nu0, Psi0
    tied            K nu0, K Psi0: the one covariance has the prior of each component
    spherical       D nu0, D Psi0: the one variance has that of each feature
    tied_spherical  K D nu0, K D Psi0

``covariances_`` is Psi / nu and the same either way; ``degrees_of_freedom_`` is nu divided by that number.
"""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from latentcore.arrays import Rows, as_parameter
from latentcore.estimators.checks import one_of, real
from latentcore.estimators.priors import Pooling, pooled
from latentcore.families.gaussian import CovarianceType, Gaussian, GaussianPrior
from latentcore.families.gaussian_types import layout
from latentcore.protocols import Array

__all__ = [
    "GaussianPriorArguments",
    "check_arguments",
    "check_positive",
    "copies",
    "posterior_attributes",
    "resolve",
    "resolved",
]

_SINGULAR = 1e-12
"""Least eigenvalue, relative to the largest, from which a covariance of the data counts as singular."""


class GaussianPriorArguments:
    """The resolved arguments: numbers and arrays of float64, in scikit-learn's shapes."""

    def __init__(
        self, mean_precision: float, mean: Array, degrees_of_freedom: float, covariance: Array
    ) -> None:
        self.mean_precision = mean_precision
        self.mean = mean
        self.degrees_of_freedom = degrees_of_freedom
        self.covariance = covariance

    def prior(self, type_: CovarianceType, n_components: int) -> GaussianPrior:
        """One component's, which stands for all."""
        n_copies = copies(type_, n_components, len(self.mean))
        scale = n_copies * self.covariance
        if type_ != "tied":
            scale = scale[None]
        return GaussianPrior(
            self.mean[None],
            np.array([self.mean_precision]),
            np.array([n_copies * self.degrees_of_freedom]),
            scale,
        )


def copies(type_: CovarianceType, n_components: int, n_features: int) -> int:
    """How many of scikit-learn's degrees of freedom are one of the distribution's."""
    number = 1
    if type_ in ("tied", "tied_spherical"):
        number *= n_components
    if layout(type_) == "spherical":
        number *= n_features
    return number


def posterior_attributes(
    posterior: GaussianPrior, prior: GaussianPrior, type_: CovarianceType, n_copies: int
) -> dict[str, Any]:
    """scikit-learn's attributes of a posterior, and of the prior as it was used."""
    nu = posterior.degrees_of_freedom / n_copies
    shared = type_ in ("tied", "tied_spherical")
    covariance_prior = prior.scale if type_ == "tied" else prior.scale[0]
    return {
        "mean_precision_": posterior.mean_precision,
        "degrees_of_freedom_": float(nu[0]) if shared else nu,
        "mean_precision_prior_": float(prior.mean_precision[0]),
        "mean_prior_": prior.means[0],
        "degrees_of_freedom_prior_": float(prior.degrees_of_freedom[0]) / n_copies,
        "covariance_prior_": covariance_prior / n_copies,
    }


def check_arguments(model: Any) -> None:
    """The prior's arguments that need no data."""
    one_of("covariance_type", model.covariance_type, get_args(CovarianceType))
    real("reg_covar", model.reg_covar)
    check_positive("mean_precision_prior", model.mean_precision_prior)
    check_positive("degrees_of_freedom_prior", model.degrees_of_freedom_prior)


def resolved(model: Any, data: Rows | Pooling) -> GaussianPrior:
    """The prior that the arguments of a model mean for these rows."""
    arguments = resolve(
        model.covariance_type, data,
        mean_precision=model.mean_precision_prior,
        mean=model.mean_prior,
        degrees_of_freedom=model.degrees_of_freedom_prior,
        covariance=model.covariance_prior,
        reg_covar=float(model.reg_covar),
    )  # fmt: skip
    return arguments.prior(model.covariance_type, model.n_components)


def check_positive(name: str, value: Any) -> None:
    """Raise unless a number is finite and > 0."""
    if value is not None and real(name, value) == 0:
        raise ValueError(f"{name}: expected a finite number > 0, got {value!r}")


def resolve(
    type_: CovarianceType,
    data: Rows | Pooling,
    *,
    mean_precision: float | None,
    mean: npt.ArrayLike | None,
    degrees_of_freedom: float | None,
    covariance: npt.ArrayLike | None,
    reg_covar: float,
) -> GaussianPriorArguments:
    """The arguments, checked, with scikit-learn's defaults where they are None.

    The mean of the data, their covariance with N - 1 in its denominator, D degrees of freedom, mean precision 1.

    Raises
    ------
    ValueError
        A wrong shape, a covariance that is not positive definite, or degrees of freedom that no proper prior has.
    """
    n_features = data.n_features
    if mean is None or covariance is None:
        data_mean, data_covariance = _moments(type_, data)
    nu = float(n_features) if degrees_of_freedom is None else float(degrees_of_freedom)
    bound = n_features - 1 if type_ in ("full", "tied") else 0
    if not nu > bound:
        raise ValueError(
            f"The parameter 'degrees_of_freedom_prior' should be greater than {bound}, "
            f"but got {nu:.3f}."
        )
    return GaussianPriorArguments(
        1.0 if mean_precision is None else float(mean_precision),
        data_mean if mean is None else _checked_mean(mean, n_features),
        nu,
        _regular(data_covariance, type_, reg_covar)
        if covariance is None
        else _checked_covariance(covariance, type_, n_features),
    )


def _moments(type_: CovarianceType, data: Rows | Pooling) -> tuple[Array, Array]:
    """The mean of the rows, and their covariance in the shape of one component's."""
    stats = pooled(Gaussian("full" if type_ == "tied" else type_), data)
    weight = float(stats.counts[0])
    denominator = max(weight - 1.0, 0.5 * weight)  # weights may sum to less than one
    if layout(type_) == "spherical":
        denominator *= stats.means.shape[1]
    covariance: Array = stats.scatters[0] / denominator
    return stats.means[0], covariance


def _regular(covariance: Array, type_: CovarianceType, reg_covar: float) -> Array:
    """With ``reg_covar`` on the variances, if it is singular."""
    matrix = type_ in ("full", "tied")
    values = np.linalg.eigvalsh(covariance) if matrix else np.atleast_1d(covariance)
    if values.min() > _SINGULAR * values.max():
        return covariance
    if reg_covar == 0:
        raise ValueError(
            "covariance_prior: expected a positive definite one, but the default, the covariance of "
            "the data, is singular, and reg_covar is 0"
        )
    regular: Array = covariance + (reg_covar * np.eye(len(covariance)) if matrix else reg_covar)
    return regular


def _checked_mean(value: npt.ArrayLike, n_features: int) -> Array:
    mean = as_parameter(value, "mean_prior")
    _check_shape("means", "mean_prior", mean.shape, (n_features,))
    return mean.astype(np.float64)


def _checked_covariance(value: npt.ArrayLike, type_: CovarianceType, n_features: int) -> Array:
    covariance = np.asarray(as_parameter(value, "covariance_prior"), np.float64)
    shape = {
        "full": (n_features, n_features),
        "tied": (n_features, n_features),
        "diag": (n_features,),
    }
    _check_shape(
        f"{type_} covariance_prior", "covariance_prior", covariance.shape, shape.get(type_, ())
    )
    if type_ not in ("full", "tied"):
        if not (covariance > 0).all():
            raise ValueError(
                f"'{type_} covariance_prior' should be positive, but got {covariance.min():g}"
            )
        return covariance
    least = np.linalg.eigvalsh(covariance)[0] if np.allclose(covariance, covariance.T) else np.nan
    if not least > 0:
        found = "it is not symmetric" if np.isnan(least) else f"its least eigenvalue is {least:g}"
        raise ValueError(
            f"'{type_} covariance_prior' should be symmetric, positive-definite, but {found}"
        )
    return covariance


def _check_shape(what: str, name: str, found: tuple[int, ...], shape: tuple[int, ...]) -> None:
    if found != shape:
        raise ValueError(
            f"The parameter '{what}' should have the shape of {shape}, but got {found} from {name}"
        )
