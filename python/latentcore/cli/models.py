"""From what the command line says to mixtures, to the tables that they are of, and to saved models."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

import latentcore
from latentcore import storage
from latentcore.cli.cells import Categories
from latentcore.cli.columns import chosen_columns
from latentcore.cli.sequences import Gathered, gathered, group_column
from latentcore.cli.tables import Table, read_columns, read_names, read_table
from latentcore.errors import StorageError
from latentcore.estimators.bayesian_base import BayesianEstimator
from latentcore.estimators.bayesian_hmm_base import BayesianHMMEstimator
from latentcore.estimators.bayesian_weights import WeightPriorType
from latentcore.estimators.hmm_base import HMMEstimator
from latentcore.estimators.mixture import FamilyName, family_named
from latentcore.estimators.mixture_base import MixtureEstimator
from latentcore.families.columns import IndependentColumns
from latentcore.families.gaussian import CovarianceType, Gaussian
from latentcore.protocols import Array

__all__ = [
    "BAYESIAN_FAMILIES",
    "FAMILIES",
    "NOT_BAYESIAN",
    "OF_TEXTS",
    "WEIGHT_PRIORS",
    "AnyHMM",
    "AnyMixture",
    "ColumnFamilies",
    "Labels",
    "SavedModel",
    "as_mixture",
    "bayesian_mixture",
    "check_beside",
    "described_categories",
    "described_mixture",
    "load",
    "mixture",
    "product_family",
    "read_labels",
    "read_rows",
    "read_weights",
    "save",
    "tell_missing",
    "tell_saved",
    "write",
]

FAMILIES = (*sorted(get_args(FamilyName)), "mixed")
"""What ``--family`` takes."""

BAYESIAN_FAMILIES = tuple(name for name in FAMILIES if name not in ("gamma", "von_mises"))
"""Those with conjugate priors."""
WEIGHT_PRIORS: dict[str, WeightPriorType] = {
    "dp": "dirichlet_process",
    "dirichlet": "dirichlet_distribution",
    "fixed": "fixed",
}
"""What ``--weight-prior`` takes."""
OF_TEXTS = {"categorical", "mixed"}
"""Families that take columns of text."""
NOT_BAYESIAN = {"prior", "assignment", "equal_weights"}
"""Settings that Bayesian models do not have."""

Mixture = MixtureEstimator[Any]
AnyMixture = MixtureEstimator[Any] | BayesianEstimator[Any, Any]
AnyHMM = HMMEstimator[Any, Any] | BayesianHMMEstimator[Any, Any]
ColumnFamilies = Mapping[str, str]
"""Families by name of the column."""

_REG_COVAR = 1e-6
"""That of ``GaussianMixture``."""
_MOST_CODES = 10


# -- mixtures --------------------------------------------------------------------------------------------------------


def mixture(
    family: str,
    table: Table,
    covariance: CovarianceType,
    column_families: ColumnFamilies,
    n_components: int,
    settings: Mapping[str, Any],
) -> Mixture:
    """An unfitted mixture of a family that is named as on the command line."""
    if family == "gaussian":
        return latentcore.GaussianMixture(n_components, covariance_type=covariance, **settings)
    if family == "mixed":
        product = product_family(table, covariance, column_families)
        return latentcore.Mixture(product, n_components, **settings)
    class_name = "".join(map(str.title, family.split("_"))) + "Mixture"
    made: Mixture = getattr(latentcore, class_name)(n_components, **settings)
    return made


def bayesian_mixture(
    family: str,
    table: Table,
    covariance: CovarianceType,
    column_families: ColumnFamilies,
    n_components: int,
    settings: Mapping[str, Any],
) -> BayesianEstimator[Any, Any]:
    """An unfitted Bayesian mixture of a family that is named as on the command line."""
    if family == "gaussian":
        return latentcore.BayesianGaussianMixture(
            n_components, covariance_type=covariance, **settings
        )
    family_: Any = family
    if family == "mixed":
        family_ = product_family(table, covariance, column_families)
    return latentcore.BayesianMixture(family_, n_components, **settings)


def described_mixture(
    table: Table,
    components: int,
    family: str,
    covariance: CovarianceType,
    column_families: ColumnFamilies,
    bayes: bool,
    weight_prior: str | None,
    concentration: float | None,
    batch_size: int | None = None,
    **settings: Any,
) -> AnyMixture:
    """The unfitted mixture that the options describe."""
    named = (family, table, covariance, column_families, components)
    if not bayes:
        return mixture(*named, settings)
    settings = {name: settings[name] for name in settings.keys() - NOT_BAYESIAN} | {
        "weight_concentration_prior_type": WEIGHT_PRIORS[weight_prior or "dp"],
        "weight_concentration_prior": concentration,
        "batch_size": batch_size,
    }
    return bayesian_mixture(*named, settings)


def product_family(
    table: Table, covariance: CovarianceType, column_families: ColumnFamilies
) -> IndependentColumns:
    """The family of a table whose columns are of several kinds; says which columns it takes for what.

    Raises
    ------
    ValueError
        A column does not exist, or holds text and is not to be categorical.
    """
    names = table.names
    unknown = [name for name in column_families if name not in names]
    if unknown:
        raise ValueError(
            f"--column-families: there is no column {unknown[0]!r}; there are {', '.join(names)}"
        )
    groups: dict[str, list[int]] = {}
    guessed = False
    for j, name in enumerate(names):
        family = column_families.get(name)
        guessed = guessed or family is None
        if family is None:
            family = _guess(table.data[:, j], name in table.categories)
        elif name in table.categories and family != "categorical":
            raise ValueError(
                f"--column-families: expected numbers in the {family} column {name!r}, got texts"
            )
        groups.setdefault(family, []).append(j)
    if guessed:
        said = ";".join(f"{f}:{','.join(names[j] for j in c)}" for f, c in groups.items())
        print(f'assumed --column-families "{said}"', file=sys.stderr)
    return IndependentColumns(
        (_part(family, table, columns, covariance), columns) for family, columns in groups.items()
    )


def _guess(values: npt.NDArray[Any], is_text: bool) -> str:
    """What a column is taken for that nobody said anything of: Gaussian, unless a finite set is evident."""
    if is_text:
        return "categorical"
    observed = np.unique(values[~np.isnan(values)])
    if set(observed) <= {0.0, 1.0}:
        return "bernoulli"
    if len(observed) <= _MOST_CODES and np.array_equal(observed, np.arange(len(observed))):
        return "categorical"
    return "gaussian"


def _part(family: str, table: Table, columns: list[int], covariance: CovarianceType) -> Any:
    if family == "gaussian":
        return Gaussian(covariance, _REG_COVAR)
    names = [table.names[j] for j in columns]
    return family_named(family, table.data[:, columns], names)  # type: ignore[arg-type]


# -- data ------------------------------------------------------------------------------------------------------------


class Labels(NamedTuple):
    """Known components of rows, (N,), -1 where unknown; the names of the classes, if they have any."""

    values: npt.NDArray[np.int64]
    classes: list[str] | None


def read_rows(
    file: str,
    columns: Sequence[str] | None,
    labels: str | None,
    text: bool,
    group_by: str | None = None,
    weight_by: str | None = None,
) -> Table:
    """The columns to fit to: those chosen, or all but those of the labels, of the sequences and of the weights."""
    named = {"labels": labels, "sequences": group_by, "weights": weight_by}
    others = {what: column for what, column in named.items() if column is not None}
    if others:
        names = read_names(file)
        chosen_columns(file, names, list(others.values()))
    if columns is None and others:
        columns = [name for name in names if name not in others.values()]
        if not columns:
            told = " and ".join(f"the {what} {column!r}" for what, column in others.items())
            raise ValueError(f"{file}: expected columns besides {told}")
    check_beside(columns, named)
    return read_table(file, columns, text=text)


def check_beside(columns: Sequence[str] | None, named: Mapping[str, str | None]) -> None:
    """Raise ``ValueError`` for a column that is one to learn from and something else."""
    for what, column in named.items():
        if column in (columns or []):
            raise ValueError(f"--columns: expected columns other than the {what} {column!r}")


def tell_missing(table: Table) -> None:
    """Say how many entries are missing, if any are."""
    missing = int(np.isnan(table.data).sum())
    if missing:
        print(f"{missing} of {table.data.size} entries are missing", file=sys.stderr)


def read_labels(file: str, column: str, n_components: int) -> Labels:
    """A column of whole numbers from 0, or of names of classes; an empty cell, or -1, is unknown.

    Raises
    ------
    ValueError
        Other numbers, or more classes than components.
    """
    table = read_table(file, [column], text=True)
    values = np.where(np.isnan(table.data[:, 0]), -1, table.data[:, 0])
    classes = table.categories.get(column)
    if classes is not None and len(classes) > n_components:
        raise ValueError(
            f"{file}: column {column!r}: expected at most {n_components} classes, the number of "
            f"components, got {len(classes)}: {', '.join(classes[:10])}"
        )
    wrong = np.flatnonzero((values != np.floor(values)) | (values < -1) | (values >= n_components))
    if len(wrong):
        raise ValueError(
            f"{file}: row {wrong[0] + 1}, column {column!r}: expected a label from 0 to "
            f"{n_components - 1}, the name of a class, or nothing, got {values[wrong[0]]:g}"
        )
    return Labels(values.astype(np.int64), classes)


def read_weights(file: str, column: str | None) -> Array | None:
    """A column of numbers >= 0, not all of which are 0; None of no column.

    Raises
    ------
    ValueError
        Other numbers, or an empty cell.
    """
    if column is None:
        return None
    weights = read_table(file, [column]).data[:, 0].astype(np.float64)
    wrong = np.flatnonzero(~(weights >= 0))
    if len(wrong):
        value = weights[wrong[0]]
        raise ValueError(
            f"{file}: row {wrong[0] + 1}, column {column!r}: expected a weight, a number >= 0, got "
            + ("nothing" if np.isnan(value) else f"{value:g}")
        )
    if not weights.any():
        raise ValueError(f"{file}: column {column!r}: expected a weight > 0, got only zeros")
    return weights


# -- saved models --------------------------------------------------------------------------------------------------


class SavedModel(NamedTuple):
    """A model from a file, the texts that stand behind its codes and labels, and the column of its sequences."""

    model: AnyMixture | AnyHMM
    categories: Categories
    classes: list[str] | None
    group_by: str | None
    rows_read: int = 0
    """Of the stream that it learns from: rows that need not be read again."""

    def names(self) -> list[str] | None:
        """The columns' names, if they have any."""
        names: npt.NDArray[Any] | None = getattr(self.model, "feature_names_in_", None)
        return None if names is None else [str(name) for name in names]

    def column_names(self) -> list[str]:
        """The columns' names, or x0, x1, ..."""
        return self.names() or [f"x{j}" for j in range(self.model.n_features_in_)]

    def rows_of(self, file: str, *beside: str | None) -> Table:
        """The model's columns, by name where both have names, else by position all but ``beside``."""
        wanted, found = self.names(), read_columns(file)
        if wanted is not None and found is not None:
            return read_table(file, wanted, categories=self.categories)
        chosen = None
        if any(beside):
            chosen = [name for name in read_names(file) if name not in beside]
        table = read_table(file, chosen, categories=self.categories)
        expected = self.model.n_features_in_
        if table.data.shape[1] != expected:
            raise ValueError(
                f"{file}: expected {expected} columns, those of the model, "
                f"got {table.data.shape[1]}"
            )
        return Table(table.data, wanted, table.categories)

    def gathered(self, file: str, group_by: str | None, weight_by: str | None = None) -> Gathered:
        """The model's columns as sequences: by this column, or that of the fit."""
        if group_by is not None and not self.is_hmm:
            raise ValueError(
                f"--group-by: only for hidden Markov models, got {type(self.model).__name__}"
            )
        column = group_column(file, group_by, self.group_by)
        return gathered(file, self.rows_of(file, column, weight_by), column)

    @property
    def is_hmm(self) -> bool:
        return isinstance(self.model, HMMEstimator | BayesianHMMEstimator)

    def lengths(self, rows: Gathered) -> dict[str, Any]:
        """What methods of the model take with these rows."""
        return {"lengths": rows.lengths} if self.is_hmm else {}

    def described(self) -> str:
        """The table of the model, and what its codes stand for."""
        labels = "states" if self.is_hmm else "components"
        return self.model.summary() + described_categories(self.categories, self.classes, labels)


def load(path: str) -> SavedModel:
    """A model that ``fit`` or Python saved."""
    model = latentcore.load(path)
    notes = storage.notes(path)
    categories, classes = notes.get("categories", {}), notes.get("classes")
    group_by = notes.get("group_by")
    if not isinstance(categories, dict) or not all(map(_are_texts, categories.values())):
        raise StorageError(f"{path}: expected categories by column, got {str(categories)[:80]}")
    if classes is not None and not _are_texts(classes):
        raise StorageError(f"{path}: expected names of classes, got {str(classes)[:80]}")
    if group_by is not None and not isinstance(group_by, str):
        raise StorageError(f"{path}: expected the name of a column, got {str(group_by)[:80]}")
    rows_read = notes.get("rows_read", 0)
    if not isinstance(rows_read, int) or rows_read < 0:
        raise StorageError(f"{path}: expected a number of rows read, got {str(rows_read)[:80]}")
    return SavedModel(model, categories, classes, group_by, rows_read)


def as_mixture(path: str, model: AnyMixture | AnyHMM) -> AnyMixture:
    """The same, for what only mixtures do."""
    if isinstance(model, HMMEstimator | BayesianHMMEstimator):
        raise ValueError(f"{path}: expected a mixture, got {type(model).__name__}")
    return model


def save(
    path: Path,
    model: AnyMixture | AnyHMM,
    categories: Categories,
    classes: list[str] | None,
    group_by: str | None = None,
) -> None:
    """Save a model with the texts that stand behind its codes and labels, and the column of its sequences."""
    write(path, SavedModel(model, categories, classes, group_by))
    tell_saved(path)


def write(path: Path, saved: SavedModel) -> None:
    """Put all of it into a file; it is replaced at once."""
    notes: dict[str, Any] = {}
    if saved.categories:
        notes["categories"] = dict(saved.categories)
    if saved.classes is not None:
        notes["classes"] = saved.classes
    if saved.group_by is not None:
        notes["group_by"] = saved.group_by
    if saved.rows_read:
        notes["rows_read"] = saved.rows_read
    with storage.replacing(path) as temporary:
        saved.model.save(temporary)
        if notes:
            storage.annotate(temporary, notes)


def tell_saved(path: Path) -> None:
    print(f"model saved to {path}", file=sys.stderr)


def described_categories(
    categories: Categories, classes: list[str] | None, labels: str = "components"
) -> str:
    """Lines that say what codes and labels stand for; none if there are no texts."""
    lines = [f"codes of {name}: {_listed(texts)}" for name, texts in categories.items()]
    if classes is not None:
        lines.append(f"{labels}: {_listed(classes)}")
    return "\n".join(["", "", *lines]) if lines else ""


def _listed(texts: Sequence[str], most: int = 20) -> str:
    listed = ", ".join(f"{code} = {text}" for code, text in enumerate(texts[:most]))
    return listed + (f", ... ({len(texts)} in all)" if len(texts) > most else "")


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)
