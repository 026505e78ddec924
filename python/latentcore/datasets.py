"""Small real data sets: facts in the public domain, shipped with the package."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from latentcore.protocols import Array

__all__ = ["Dataset", "load_earthquakes", "load_iris", "load_nile", "load_old_faithful"]


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Rows of numbers and where they come from.

    Attributes
    ----------
    data : (N, D) float64
    feature_names : tuple of D str
    description : str
        What was measured, in which units, and the source.
    years : (N,) int64 or None
        The year of each row, for annual series.
    labels : (N,) int64 or None
        The class of each row, an index into ``label_names``.
    label_names : tuple of str
    """

    data: Array
    feature_names: tuple[str, ...]
    description: str
    years: npt.NDArray[np.int64] | None = None
    labels: npt.NDArray[np.int64] | None = None
    label_names: tuple[str, ...] = ()


def load_old_faithful() -> Dataset:
    """Eruptions of the geyser Old Faithful.

    Returns
    -------
    Dataset
        272 rows of eruption duration and waiting time until the next eruption, both in minutes.
    """
    feature_names, data = _read("old_faithful.csv")
    description = (
        "Duration of an eruption and waiting time until the next one, in minutes, of the geyser "
        "Old Faithful in Yellowstone National Park, Wyoming, USA. "
        "Source: W. Härdle (1991), Smoothing Techniques with Implementation in S, Springer."
    )
    return Dataset(data, feature_names, description)


def load_earthquakes() -> Dataset:
    """Annual number of major earthquakes in the world, 1900 to 2006.

    Returns
    -------
    Dataset
        107 rows of one count, with ``years``.
    """
    description = (
        "Number of earthquakes of magnitude 7 or more in the world in each year from 1900 to 2006. "
        "Source: U.S. Geological Survey, Earthquake Hazards Program, as listed in W. Zucchini & "
        "I. L. MacDonald (2009), Hidden Markov Models for Time Series, Chapman & Hall, table 1.1."
    )
    return _annual("earthquakes.csv", description)


def load_nile() -> Dataset:
    """Annual flow of the Nile at Aswan, 1871 to 1970.

    Returns
    -------
    Dataset
        100 rows of one flow in 10^8 cubic metres, with ``years``.
    """
    description = (
        "Annual flow of the river Nile at Aswan from 1871 to 1970, in 10^8 cubic metres. "
        "Source: G. W. Cobb (1978), The problem of the Nile: conditional solution to a "
        "change-point problem, Biometrika 65, 243-251, table 1."
    )
    return _annual("nile.csv", description)


def load_iris() -> Dataset:
    """Flowers of three species of iris.

    Returns
    -------
    Dataset
        150 rows of length and width of sepals and petals in cm, with the species as ``labels``.
    """
    header, *lines = _lines("iris.csv")
    rows = [line.split(",") for line in lines]
    label_names, labels = np.unique([row[-1] for row in rows], return_inverse=True)
    description = (
        "Length and width of sepals and petals, in cm, of 50 flowers of each of Iris setosa, "
        "Iris versicolor and Iris virginica. Source: E. Anderson (1935), The irises of the Gaspé "
        "Peninsula, Bulletin of the American Iris Society 59, 2-5, as listed in R. A. Fisher "
        "(1936), The use of multiple measurements in taxonomic problems, Annals of Eugenics 7, "
        "179-188, table I."
    )
    return Dataset(
        np.array([row[:-1] for row in rows], np.float64),
        tuple(header.split(",")[:-1]),
        description,
        labels=labels.astype(np.int64),
        label_names=tuple(map(str, label_names)),
    )


def _annual(file_name: str, description: str) -> Dataset:
    feature_names, table = _read(file_name)
    years = table[:, 0].astype(np.int64)
    return Dataset(np.ascontiguousarray(table[:, 1:]), feature_names[1:], description, years)


def _read(file_name: str) -> tuple[tuple[str, ...], Array]:
    header, *rows = _lines(file_name)
    return tuple(header.split(",")), np.loadtxt(rows, delimiter=",", dtype=np.float64, ndmin=2)


def _lines(file_name: str) -> list[str]:
    text = (files("latentcore") / "data" / file_name).read_text(encoding="utf-8")
    return text.splitlines()
