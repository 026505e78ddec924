"""Between the public attributes of a Gaussian mixture, such as ``means_``, and its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from latentcore.arrays import as_parameter
from latentcore.families.gaussian import CovarianceType, Gaussian, GaussianParams
from latentcore.families.gaussian_types import layout
from latentcore.protocols import Array
from latentcore.structures.mixture import MixtureParams

__all__ = [
    "NAMES",
    "attributes",
    "check_attributes",
    "checked_matrices",
    "checked_means",
    "checked_weights",
    "covariance_shape",
    "from_attributes",
    "from_covariances",
    "precisions",
    "with_precisions",
    "work_per_row",
]

Params = MixtureParams[GaussianParams]

NAMES = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")


def covariance_shape(type_: CovarianceType, n_components: int, n_features: int) -> tuple[int, ...]:
    return {
        "full": (n_components, n_features, n_features),
        "tied": (n_features, n_features),
        "diag": (n_components, n_features),
        "spherical": (n_components,),
        "tied_spherical": (n_components,),
    }[type_]


def work_per_row(type_: CovarianceType, n_features: int, n_components: int) -> float:
    """Multiply-adds of a sweep; an exponential counts as 16."""
    d = n_features
    return float(
        {
            "full": n_components * (d * d + 2 * d + 16),
            "tied": 2 * d * d + n_components * (3 * d + 16),
            "diag": n_components * (4 * d + 16),
            "spherical": n_components * (3 * d + 16),
        }[layout(type_)]
    )


# -- attributes ----------------------------------------------------------------------------------


def attributes(
    params: Params, type_: CovarianceType, dtype: npt.DTypeLike = np.float64
) -> dict[str, npt.NDArray[Any]]:
    """The public attributes, of the dtype of the data, as scikit-learn has them."""
    components = params.components
    factors = components.precisions_cholesky
    values = (
        params.weights, components.means, components.covariances, precisions(components, type_),
        factors,
    )  # fmt: skip
    return {name: np.array(value, dtype) for name, value in zip(NAMES, values, strict=True)}


def from_attributes(state: Mapping[str, Any], type_: CovarianceType) -> Params | None:
    """Parameters of whatever the public attributes are now; None where some are missing.

    ``precisions_cholesky_`` counts; ``covariances_`` serves where it is missing, and the other way
    round.

    Raises
    ------
    ValueError
        An attribute has the wrong shape, or the factors are those of another type of covariance.
    """
    weights, means = state.get("weights_"), state.get("means_")
    factors, covariances = state.get("precisions_cholesky_"), state.get("covariances_")
    if weights is None or means is None or (factors is None and covariances is None):
        return None
    means = _double(means, "means_", None)
    if means.ndim != 2:
        raise ValueError(f"means_: expected shape (n_components, n_features), got {means.shape}")
    n_components, n_features = means.shape
    weights = _double(weights, "weights_", (n_components,))
    shape = covariance_shape(type_, n_components, n_features)
    if factors is None:
        return from_covariances(weights, means, _double(covariances, "covariances_", shape), type_)
    factors = _double(factors, "precisions_cholesky_", shape)
    _check_type(factors, type_, n_components, n_features)
    covariances = (
        _covariances(factors, type_)
        if covariances is None
        else _double(covariances, "covariances_", shape)
    )
    log_determinants = _log_determinants(factors, type_, n_components, n_features)
    return MixtureParams(weights, GaussianParams(means, covariances, factors, log_determinants))


def from_covariances(
    weights: Array, means: Array, covariances: Array, type_: CovarianceType
) -> Params:
    return MixtureParams(weights, Gaussian(type_).params(means, covariances))


def with_precisions(means: Array, precisions: Array, type_: CovarianceType) -> GaussianParams:
    factors = _factors(precisions, type_)
    log_determinants = _log_determinants(factors, type_, *means.shape)
    return GaussianParams(means, _covariances(factors, type_), factors, log_determinants)


def _double(value: Any, name: str, shape: tuple[int, ...] | None) -> Array:
    array: Array = np.ascontiguousarray(value, np.float64)
    if shape is not None and array.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {array.shape}")
    return array


def _check_type(factors: Array, type_: CovarianceType, n_components: int, n_features: int) -> None:
    """Raise ``ValueError`` for factors of another type whose arrays have the same shape."""
    same_shape = n_components == n_features
    problem = None
    if type_ == "tied_spherical" and (factors != factors[0]).any():
        problem = "equal numbers", f"numbers from {factors.min()} to {factors.max()}"
    elif type_ == "tied" and same_shape and np.tril(factors, -1).any():
        problem = "an upper triangular matrix", "numbers below its diagonal"
    elif type_ == "diag" and same_shape and not factors.all():
        problem = "reciprocal standard deviations", "zeros"
    if problem is not None:
        raise ValueError(
            f"precisions_cholesky_: expected {problem[0]} with covariance_type={type_!r}, "
            f"got {problem[1]}"
        )


def check_attributes(arrays: Mapping[str, npt.NDArray[Any]], type_: CovarianceType) -> int:
    """The number of features of the public attributes ``NAMES``.

    Raises
    ------
    ValueError
        They are not the attributes of a Gaussian mixture.
    """
    weights, means = arrays["weights_"], arrays["means_"]
    if means.ndim != 2 or 0 in means.shape:
        raise ValueError(f"means_: expected shape (n_components, n_features), got {means.shape}")
    shape = covariance_shape(type_, *means.shape)
    shapes = (means.shape[:1], means.shape, shape, shape, shape)
    for name, expected in zip(NAMES, shapes, strict=True):
        array = arrays[name]
        if array.shape != expected or array.dtype != means.dtype or array.dtype.kind != "f":
            raise ValueError(
                f"{name}: expected {means.dtype} of shape {expected}, "
                f"got {array.dtype} of {array.shape}"
            )
        if not np.isfinite(array).all():
            raise ValueError(f"{name}: expected finite numbers, got others")
    if weights.min() < 0 or abs(float(weights.sum()) - 1) > 1e-3:
        raise ValueError(
            f"weights_: expected numbers >= 0 that sum to 1, got the sum {weights.sum()}"
        )
    for name in NAMES[2:]:
        if not (_diagonal(arrays[name], type_) > 0).all():
            raise ValueError(f"{name}: expected a positive diagonal, got numbers <= 0")
    return int(means.shape[1])


# -- factors U with precision = U U^T, U upper triangular ----------------------------------------


def _factors(precisions: Array, type_: CovarianceType) -> Array:
    if type_ in ("diag", "spherical", "tied_spherical"):
        return np.sqrt(precisions)
    # With J the exchange matrix and J P J = L L^T, P = (J L J)(J L J)^T; J L J is upper triangular.
    lower = np.linalg.cholesky(precisions[..., ::-1, ::-1])
    return np.ascontiguousarray(lower[..., ::-1, ::-1])


def precisions(params: GaussianParams, type_: CovarianceType) -> Array:
    """Inverses of the covariances, of their shape."""
    factors = params.precisions_cholesky
    if type_ in ("diag", "spherical", "tied_spherical"):
        return factors**2
    products: Array = factors @ factors.swapaxes(-1, -2)
    return products


def _covariances(factors: Array, type_: CovarianceType) -> Array:
    if type_ in ("diag", "spherical", "tied_spherical"):
        return 1.0 / factors**2
    inverse = np.linalg.inv(factors)
    covariances: Array = inverse.swapaxes(-1, -2) @ inverse
    return covariances


def _diagonal(matrices: npt.NDArray[Any], type_: CovarianceType) -> npt.NDArray[Any]:
    return (
        matrices
        if type_ in ("diag", "spherical", "tied_spherical")
        else matrices.diagonal(axis1=-2, axis2=-1)
    )


def _log_determinants(
    factors: Array, type_: CovarianceType, n_components: int, n_features: int
) -> Array:
    logs: Array = np.log(np.abs(_diagonal(factors, type_)))
    if type_ in ("spherical", "tied_spherical"):
        return n_features * logs
    log_determinants = logs.sum(axis=-1)
    return np.full(n_components, log_determinants) if type_ == "tied" else log_determinants


# -- a start that the user gives -----------------------------------------------------------------


def checked_weights(value: Any, n_components: int, name: str) -> Array:
    """Weights (K,) in [0, 1] that sum to one.

    The messages begin as scikit-learn's do, so that code which looks for those words finds them.
    """
    weights = as_parameter(value, name)
    _check_shape("weights", name, weights, (n_components,))
    if weights.min() < 0 or weights.max() > 1:
        raise ValueError(
            f"The parameter 'weights' should be in the range [0, 1], but got {name} from "
            f"{weights.min():.5f} to {weights.max():.5f}"
        )
    tolerance = 1e-6 if weights.dtype == np.float32 else 1e-8
    if abs(1.0 - float(weights.sum())) > tolerance:
        raise ValueError(
            f"The parameter 'weights' should be normalized, but got sum(weights) = "
            f"{weights.sum():.5f} from {name}"
        )
    return weights.astype(np.float64, copy=False)


def checked_means(value: Any, n_components: int, n_features: int, name: str) -> Array:
    means = as_parameter(value, name)
    _check_shape("means", name, means, (n_components, n_features))
    return means.astype(np.float64, copy=False)


def checked_matrices(
    value: Any,
    kind: Literal["precision", "covariance"],
    type_: CovarianceType,
    n_components: int,
    n_features: int,
    name: str,
) -> Array:
    """Precisions or covariances of the shape of ``type_``, symmetric and positive definite."""
    matrices = as_parameter(value, name)
    what = f"{type_} {kind}"
    _check_shape(what, name, matrices, covariance_shape(type_, n_components, n_features))
    if type_ in ("diag", "spherical", "tied_spherical"):
        if not (matrices > 0).all():
            raise ValueError(f"'{what}' should be positive, but got {matrices.min()} in {name}")
        if type_ == "tied_spherical" and matrices.min() != matrices.max():
            raise ValueError(
                f"'{what}' should be the same for all components, but got numbers from "
                f"{matrices.min()} to {matrices.max()} in {name}"
            )
        return matrices.astype(np.float64, copy=False)
    for k, matrix in enumerate(matrices.reshape(-1, n_features, n_features)):
        if not np.allclose(matrix, matrix.T) or not (np.linalg.eigvalsh(matrix) > 0).all():
            component = f"component {k} of " if type_ == "full" else ""
            raise ValueError(
                f"'{what}' should be symmetric, positive-definite, but {component}{name} is not"
            )
    return matrices.astype(np.float64, copy=False)


def _check_shape(what: str, name: str, array: npt.NDArray[Any], shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(
            f"The parameter '{what}' should have the shape of {shape}, "
            f"but got {array.shape} from {name}"
        )
