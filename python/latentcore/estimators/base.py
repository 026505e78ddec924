"""What all estimators have in common: scikit-learn's conventions without importing scikit-learn."""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from latentcore import storage
from latentcore.arrays import Rows, as_matrix, as_weights, column_names
from latentcore.errors import NotFittedError, StorageError, as_sklearn
from latentcore.estimators.online import Stream
from latentcore.estimators.saved_stream import is_of_stream, pack_stream, unpack_stream
from latentcore.estimators.saved_values import pack, unpack
from latentcore.protocols import RealArray
from latentcore.storage import Stored

__all__ = ["Estimator"]

_PICKLE_FORMAT = 1

Alias = bool | str | None
UNCHANGED = "$UNCHANGED$"  # scikit-learn's own mark

_OF_ONE_COURSE = {"feature_names_in_", "_training", "_stream", "n_samples_seen_"}
"""Attributes that end with the fit or stream that made them."""


class Estimator:
    """Constructor arguments are kept as they came; what is learned ends with an underscore.

    A subclass states in ``_estimator_type`` what scikit-learn calls its kind, and in ``_routed`` what
    of each row which methods take.
    """

    _estimator_type: str | None = None
    _routed: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType({})

    _positive_only: ClassVar[bool] = False
    """Whether negative numbers are outside the support."""
    _since_the_first_files: ClassVar[frozenset[str]] = frozenset()
    """Arguments that files need not have, because there were files before there were these."""

    n_features_in_: int
    feature_names_in_: npt.NDArray[np.object_]

    # -- parameters -------------------------------------------------------------------------------

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments by name; ``deep`` changes nothing here."""
        return {name: getattr(self, name) for name in _defaults(type(self))}

    def set_params(self, **params: Any) -> Self:
        """Change constructor arguments; what was learned stays.

        Raises
        ------
        ValueError
            There is no such argument; then none is changed.
        """
        valid = _defaults(type(self))
        for name in params:
            if name not in valid:
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator {self!r}. "
                    f"Valid parameters are: {list(valid)!r}."
                )
        self.__dict__.update(params)
        return self

    def __repr__(self) -> str:
        defaults = _defaults(type(self))
        changed = {
            name: value
            for name, value in self.get_params().items()
            if not _is(value, defaults[name])
        }
        arguments = ", ".join(f"{name}={_short(value)}" for name, value in changed.items())
        return f"{type(self).__name__}({arguments})"

    # -- data -------------------------------------------------------------------------------------

    def _seen(self, X: Any) -> RealArray:
        """Data for a fitted model: the columns must be those of the fit."""
        self._check_names(column_names(X))
        x = self._matrix(X)
        self._check_width(x)
        self._check_support(x)
        return x

    def _matrix(self, X: Any) -> RealArray:
        """Data as the model reads them."""
        return as_matrix(
            X,
            owner=type(self).__name__,
            missing=self._takes_missing(),
            sparse=self._takes_sparse(),
        )

    def _takes_missing(self) -> bool:
        """Whether entries of the data may be NaN."""
        return False

    def _takes_missing_entries(self) -> bool:
        """Whether any entry may be NaN, not only all of a row."""
        return self._takes_missing()

    def _takes_sparse(self) -> bool:
        """Whether the data may be a SciPy sparse array."""
        return False

    def _check_support(self, x: RealArray) -> None:
        """Raise ``ValueError`` for values that the model cannot have made."""

    def _seen_rows(self, X: Any, sample_weight: Any) -> Rows:
        x = self._seen(X)
        return Rows(x, as_weights(sample_weight, len(x)))

    def _n_features(self) -> int:
        return self.n_features_in_

    def _check_width(self, x: RealArray) -> None:
        expected = self._n_features()
        if x.shape[1] != expected:
            raise ValueError(
                f"X has {x.shape[1]} features, but {type(self).__name__} is expecting "
                f"{expected} features as input"
            )

    def _check_names(self, names: list[str] | None) -> None:
        fitted: Any = getattr(self, "feature_names_in_", None)
        owner = type(self).__name__
        if fitted is None and names is not None:
            message = f"X has feature names, but {owner} was fitted without feature names"
            warnings.warn(message, UserWarning, stacklevel=5)
        elif fitted is not None and names is None:
            message = (
                f"X does not have valid feature names, but {owner} was fitted with feature names"
            )
            warnings.warn(message, UserWarning, stacklevel=5)
        elif fitted is not None and names is not None and list(fitted) != names:
            raise ValueError(_names_differ(list(fitted), names))

    def _not_fitted(self) -> NotFittedError:
        stream = self.__dict__.get("_stream")
        n_waiting = 0 if stream is None else stream.n_waiting()
        return as_sklearn(NotFittedError)(
            f"This {type(self).__name__} instance is not fitted yet. Call 'fit' with appropriate "
            "arguments before "
            "using this estimator."
            + (f" {n_waiting} rows of 'partial_fit' wait for more to begin with." * (n_waiting > 0))
        )

    def _replace(self, learned: dict[str, Any], names: list[str] | None) -> None:
        """Take over what a fit learned, all at once: no thread or interrupt sees a half."""
        state = {**self.__dict__, **learned}
        for name in _OF_ONE_COURSE:
            if name not in learned:
                state.pop(name, None)
        if names is not None:
            state["feature_names_in_"] = np.array(names, dtype=object)
        self.__dict__ = state

    # -- storage ----------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to an ``.npz`` file; ``latentcore.load`` reads it.

        The file holds no pickle and no data. It appears at once or not at all. A ``random_state``
        that is a generator is not kept: it is None after loading.
        """
        storage.write(path, type(self).__name__, self._to_stored())

    def _to_stored(self) -> Stored:
        learned = {**self._learned(), **pack_stream(self.__dict__)}
        return {"params": pack(self.get_params()), "learned": learned}

    @classmethod
    def _from_stored(cls, stored: Stored) -> Self:
        params = unpack(stored["params"])
        defaults = _defaults(cls)
        if not defaults.keys() - cls._since_the_first_files <= params.keys() <= defaults.keys():
            raise StorageError(f"params: expected {list(defaults)}, got {list(params)}")
        model = cls(**params)
        model._check_arguments()
        of_stream: dict[str, Any] = {}
        learned: dict[str, Any] = {}
        for name, value in stored["learned"].items():
            (of_stream if is_of_stream(name) else learned)[name] = value
        model.__dict__.update(model._checked_learned(learned))
        if of_stream:
            found = unpack_stream(of_stream)
            width = found.get("n_features_in_")
            if width != model.__dict__.get("n_features_in_", width):
                raise StorageError(
                    f"_stream: expected the n_features_in_ of the model, got {width}"
                )
            model.__dict__.update(found)
            model.__dict__["_stream"] = model._checked_stream(model.__dict__["_stream"])
        return model

    def _check_arguments(self) -> None:
        """Raise ``ValueError`` or ``TypeError`` for a constructor argument that cannot be used."""
        raise NotImplementedError

    def _learned(self) -> dict[str, Any]:
        """What ``save`` keeps of what was learned: nothing before a fit."""
        raise NotImplementedError

    def _checked_learned(self, learned: dict[str, Any]) -> dict[str, Any]:
        """The attributes that ``learned``, read from a file, stands for."""
        raise NotImplementedError

    def _checked_stream(self, stream: Stream) -> Stream:
        """The stream, read from a file, with which the model, of which all else is there, goes on."""
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pickle_format": _PICKLE_FORMAT}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        found = state.pop("_pickle_format", None)
        if found != _PICKLE_FORMAT:
            raise StorageError(
                f"pickle of {type(self).__name__}: expected format {_PICKLE_FORMAT}, "
                f"got {found!r}; it was made by another version of latentcore"
            )
        defaults = _defaults(type(self))
        since = {name: defaults[name] for name in self._since_the_first_files}
        self.__dict__.update({**since, **state})

    # -- scikit-learn, when it asks ---------------------------------------------------------------

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, Tags, TargetTags

        return Tags(
            estimator_type=self._estimator_type,
            target_tags=TargetTags(required=False),
            transformer_tags=None,
            classifier_tags=None,
            regressor_tags=None,
            input_tags=InputTags(
                allow_nan=self._takes_missing_entries(),
                sparse=self._takes_sparse(),
                positive_only=self._positive_only,
            ),
        )

    def get_metadata_routing(self) -> Any:
        """Which methods want ``sample_weight`` from meta-estimators; needs scikit-learn."""
        from sklearn.utils.metadata_routing import MetadataRequest, get_routing_for_object

        if "_metadata_request" in self.__dict__:
            return get_routing_for_object(self.__dict__["_metadata_request"])
        request = MetadataRequest(owner=self)
        for method, names in self._routed.items():
            for name in names:
                getattr(request, method).add_request(param=name, alias=None)
        return request

    def set_fit_request(
        self, *, sample_weight: Alias = UNCHANGED, labels: Alias = UNCHANGED
    ) -> Self:
        """Whether meta-estimators pass ``sample_weight`` and ``labels`` to ``fit``; needs scikit-learn."""
        return self._request("fit", {"sample_weight": sample_weight, "labels": labels})

    def set_partial_fit_request(
        self, *, sample_weight: Alias = UNCHANGED, labels: Alias = UNCHANGED
    ) -> Self:
        """Whether meta-estimators pass ``sample_weight`` and ``labels`` to ``partial_fit``; needs scikit-learn."""
        return self._request("partial_fit", {"sample_weight": sample_weight, "labels": labels})

    def set_score_request(self, *, sample_weight: Alias = UNCHANGED) -> Self:
        """Whether meta-estimators pass ``sample_weight`` to ``score``; needs scikit-learn."""
        return self._request("score", {"sample_weight": sample_weight})

    def _request(self, method: str, aliases: dict[str, Alias]) -> Self:
        request = self.get_metadata_routing()
        for name, alias in aliases.items():
            if alias != UNCHANGED:
                getattr(request, method).add_request(param=name, alias=alias)
        self.__dict__["_metadata_request"] = request
        return self


def _defaults(cls: type[Estimator]) -> dict[str, Any]:
    """Names and defaults of the constructor's arguments."""
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    return {p.name: p.default for p in parameters if p.kind is not p.VAR_KEYWORD}


def _is(value: Any, default: Any) -> bool:
    return value is default or (
        isinstance(value, bool | int | float | str)
        and type(value) is type(default)
        and value == default
    )


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"array of shape {value.shape}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _names_differ(fitted: list[str], names: list[str]) -> str:
    unseen = sorted(set(names) - set(fitted))
    missing = sorted(set(fitted) - set(names))
    lines = ["The feature names should match those that were passed during fit."]
    for title, group in (
        ("Feature names unseen at fit time:", unseen),
        ("Feature names seen at fit time, yet now missing:", missing),
    ):
        if group:
            lines += [title, *(f"- {name}" for name in group[:5]), *["- ..."] * (len(group) > 5)]
    if not unseen and not missing:
        lines.append("Feature names must be in the same order as they were in fit.")
    return "\n".join(lines) + "\n"
