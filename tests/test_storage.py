"""Saved models come back bit for bit; files that are none are refused in one clear line."""

from __future__ import annotations

import io
import json
import os
import resource
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import latentcore
from latentcore import GaussianMixture, PoissonMixture, storage
from latentcore.errors import StorageError
from latentcore.families.priors import GammaPrior
from latentcore.structures.mixture import MixturePrior

X = np.random.default_rng(0).normal(size=(80, 2)) * [1, 3]
COUNTS = np.random.default_rng(0).poisson(3.0, (80, 2))


def fitted(
    covariance_type: Any = "full", dtype: Any = np.float64, **kwargs: Any
) -> GaussianMixture:
    kwargs = {"tol": 1e-2, "random_state": 0, **kwargs}
    model = GaussianMixture(2, covariance_type=covariance_type, **kwargs)
    return model.fit(X.astype(dtype))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.npz"
    fitted().save(path)
    return path


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def header_of(path: Path) -> dict[str, Any]:
    with np.load(path) as archive:
        header: dict[str, Any] = json.loads(archive["header"].tobytes())
    return header


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def rewrite(path: Path, changes: dict[str, Any], compression: int = zipfile.ZIP_STORED) -> None:
    """Replace members: bytes as they are, arrays as .npy, None to leave them out."""
    members = {**contents(path), **changes}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, value in members.items():
            if value is not None:
                archive.writestr(name, value if isinstance(value, bytes) else npy(value))


def with_header(path: Path, **changes: Any) -> dict[str, Any]:
    content = json.dumps({**header_of(path), **changes}).encode()
    return {"header.npy": np.frombuffer(content, np.uint8)}


# -- what is kept ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_model_comes_back_bit_for_bit(tmp_path: Path, covariance_type: Any, dtype: Any) -> None:
    model = fitted(covariance_type, dtype, n_init=2)
    model.save(tmp_path / "a")
    twin = latentcore.load(tmp_path / "a")
    assert type(twin) is GaussianMixture
    assert twin.get_params() == model.get_params()
    assert vars(twin).keys() == vars(model).keys()
    for name, value in vars(model).items():
        if isinstance(value, np.ndarray):
            assert getattr(twin, name).dtype == value.dtype
            assert getattr(twin, name).tobytes() == value.tobytes(), name
        else:
            assert getattr(twin, name) == value, name
    x = X.astype(dtype)
    np.testing.assert_array_equal(twin.predict_proba(x), model.predict_proba(x))
    np.testing.assert_array_equal(twin.sample(5)[0], model.sample(5)[0])
    assert twin.summary() == model.summary()


def test_column_names_and_arrays_among_the_parameters_come_back(tmp_path: Path) -> None:
    frame = pd.DataFrame(X, columns=["a", "ü"])
    model = GaussianMixture(2, means_init=[[0, 0], [1, 1]], random_state=np.random.RandomState(0))
    model.fit(frame).save(tmp_path / "a")
    twin = latentcore.load(tmp_path / "a")
    assert twin.feature_names_in_.tolist() == ["a", "ü"]
    np.testing.assert_array_equal(twin.means_init, [[0, 0], [1, 1]])
    assert twin.random_state is None, "a generator is not kept"


def test_warm_start_goes_on_after_loading(tmp_path: Path) -> None:
    model = GaussianMixture(2, warm_start=True, random_state=0).fit(X)
    model.save(tmp_path / "a")
    np.testing.assert_array_equal(
        latentcore.load(tmp_path / "a").fit(X).means_, model.fit(X).means_
    )


def test_model_made_by_hand_and_model_not_fitted_come_back(tmp_path: Path) -> None:
    made = GaussianMixture.from_params(
        [0.5, 0.5], [[0.0], [1.0]], [1.0, 2.0], covariance_type="spherical"
    )
    made.save(tmp_path / "a")
    np.testing.assert_array_equal(
        latentcore.load(tmp_path / "a").score_samples([[0.3]]), made.score_samples([[0.3]])
    )
    GaussianMixture(np.int64(7), tol=np.float32(0.5)).save(tmp_path / "b")  # type: ignore[arg-type]
    assert repr(latentcore.load(tmp_path / "b")) == "GaussianMixture(n_components=7, tol=0.5)"


def test_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        fitted().save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_numpy_reads_the_file_without_pickle(saved: Path) -> None:
    with np.load(saved, allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["learned/means_"], fitted().means_)
    header = header_of(saved)
    assert header["format_version"] == 1
    assert header["class"] == "GaussianMixture"
    assert header["library_version"] == latentcore.__version__


# -- writing -----------------------------------------------------------------------------------


def test_failed_save_leaves_the_old_file_and_no_other(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved.read_bytes()

    def fail(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        fitted("diag").save(saved)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_saved_file_has_the_usual_permissions(saved: Path) -> None:
    plain = saved.with_name("plain")
    plain.touch()
    assert stat.S_IMODE(saved.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path) -> None:
    model = fitted()
    model.weights_ = np.array([0.5, -0.5])
    with pytest.raises(ValueError, match="weights_: expected numbers >= 0 that sum to 1"):
        model.save(tmp_path / "a")
    with pytest.raises(TypeError, match="init_params: expected a number, a string or an array"):
        GaussianMixture(init_params=object()).save(tmp_path / "a")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_file_from_before_there_were_priors_is_read(saved: Path) -> None:
    params = header_of(saved)["params"]
    for name in ("prior", "assignment", "equal_weights"):
        del params[name]
    rewrite(saved, with_header(saved, params=params))
    assert latentcore.load(saved).get_params() == fitted().get_params()


# -- files that are no models ------------------------------------------------------------------


def refused(path: Path, message: str) -> None:
    with pytest.raises(StorageError, match=message) as caught:
        latentcore.load(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    assert len(line) < len(str(path)) + 400


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a zip",
        b"PK\x05\x06" + bytes(18),
        b"PK\x03\x04" + bytes(100),
        npy(np.zeros(3)),
        b"\x80\x04N.",
    ],
    ids=["empty", "text", "empty zip", "broken zip", "npy", "pickle"],
)
def test_other_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    refused(tmp_path / "a", "expected a saved model")


def test_other_archive_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=X)
    refused(tmp_path / "a.npz", "without a header")
    np.savez(tmp_path / "b.npz", header=np.frombuffer(b"{}", np.uint8))
    refused(tmp_path / "b.npz", "a header of something else")


def test_file_cut_anywhere_is_refused(saved: Path) -> None:
    content = saved.read_bytes()
    for length in range(0, len(content), 97):
        saved.write_bytes(content[:length])
        refused(saved, "expected a saved model")


def test_file_with_a_changed_byte_is_refused_or_means_the_same(saved: Path) -> None:
    content = saved.read_bytes()
    expected = latentcore.load(saved).predict_proba(X)
    for position in range(0, len(content), 13):
        changed = bytearray(content)
        changed[position] ^= 0x55
        saved.write_bytes(bytes(changed))
        try:
            model = latentcore.load(saved)
        except StorageError:
            continue
        np.testing.assert_array_equal(model.predict_proba(X), expected)


def test_missing_file_and_folder_are_no_storage_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        latentcore.load(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        latentcore.load(tmp_path)


Change = Callable[[Path], dict[str, Any]]


def header(**changes: Any) -> Change:
    return lambda path: with_header(path, **changes)


def text(content: bytes) -> Change:
    return lambda path: {"header.npy": np.frombuffer(content, np.uint8)}


def learned(name: str, value: Any) -> Change:
    return lambda path: {f"learned/{name}.npy": value}


NO_MODEL = "expected a saved model"
OTHER_ARRAYS = "the arrays that the header lists"
NAN = np.full((2, 2), np.nan)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (header(format_version=2, library_version="9.1"), "version 1, got 2; .*'9.1'"),
        (header(format_version=None), "version 1, got None"),
        (header(**{"class": "os.system"}), "of class .*GaussianMixture.*, got 'os.system'"),
        (header(params={"n_components": 2}), "params: expected"),
        (header(params=[]), "params: expected"),
        (header(params=5), NO_MODEL),
        (header(dtypes={}), OTHER_ARRAYS),
        (text(b"[" * 50_000), NO_MODEL),
        (text(b"\xff\xfe{"), NO_MODEL),
        (lambda path: {"header.npy": np.zeros(3)}, NO_MODEL),
        (learned("means_", None), OTHER_ARRAYS),
        (learned("more", np.zeros(3)), OTHER_ARRAYS),
        (learned("means_", np.zeros((2, 2), np.float32)), "means_: expected dtype <f8, got <f4"),
        (learned("means_", np.zeros((2, 3))), "covariances_: expected float64 of shape"),
        (learned("means_", np.zeros(2)), r"means_: expected shape \(n_components"),
        (learned("means_", NAN), "means_: expected finite numbers"),
        (learned("weights_", np.array([0.5, 0.6])), "weights_: expected .* sum to 1"),
        (learned("weights_", np.array([1.5, -0.5])), "weights_: expected numbers >= 0"),
        (
            learned("covariances_", -np.ones((2, 2, 2))),
            "covariances_: expected a positive diagonal",
        ),
        (learned("training", np.zeros(2)), NO_MODEL),
        (learned("means_", np.array([[None]], object)), "expected dtype float64, .* got object"),
        (learned("means_", np.zeros((2, 2), "M8[s]")), "expected dtype float64"),
    ],
)
def test_impossible_content_is_refused(saved: Path, change: Change, message: str) -> None:
    rewrite(saved, change(saved))
    refused(saved, message)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("n_components", 0, "n_components: expected an integer >= 1, got 0"),
        ("n_components", "2", "n_components: expected an integer >= 1, got '2'"),
        ("covariance_type", "round", "covariance_type: expected one of"),
        ("covariance_type", "tied", "covariances_: expected float64 of shape"),
        ("random_state", "x", "random_state: expected None"),
        ("means_init", {"a": 1}, "means_init: expected"),
    ],
)
def test_impossible_parameter_is_refused(saved: Path, name: str, value: Any, message: str) -> None:
    params = {**header_of(saved)["params"], name: value}
    rewrite(saved, with_header(saved, params=params))
    refused(saved, message)


# -- mixtures of other families ------------------------------------------------------------------


@pytest.fixture
def saved_counts(tmp_path: Path) -> Path:
    path = tmp_path / "counts.npz"
    prior = MixturePrior(np.ones(2), GammaPrior(2.0, 1.0))
    PoissonMixture(2, prior=prior, random_state=0).fit(COUNTS).save(path)
    return path


def test_values_inside_of_others_are_plain_arrays(saved_counts: Path) -> None:
    with np.load(saved_counts, allow_pickle=False) as archive:
        assert archive["learned/components_.rates"].shape == (2, 2)
        assert archive["params/prior.components.shape"].tolist() == [[2.0]]


def test_changed_byte_of_nested_values_is_refused_or_means_the_same(saved_counts: Path) -> None:
    content = saved_counts.read_bytes()
    expected = latentcore.load(saved_counts).predict_proba(COUNTS)
    for position in range(0, len(content), 29):
        changed = bytearray(content)
        changed[position] ^= 0x55
        saved_counts.write_bytes(bytes(changed))
        try:
            model = latentcore.load(saved_counts)
        except StorageError:
            continue
        np.testing.assert_array_equal(model.predict_proba(COUNTS), expected)


RATES = {"array": "components_.rates"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("components_", {"class": "system", "fields": {"command": "ls"}}),
        ("components_", {"class": ["PoissonParams"], "fields": {"rates": RATES}}),
        ("components_", {"class": "PoissonParams", "fields": {}}),
        ("components_", {"class": "PoissonParams", "fields": {"rates": 3}}),
        ("components_", {"class": "PoissonParams", "fields": {"rates": {"array": "weights_"}}}),
        ("components_", {"class": "BernoulliParams", "fields": {"probabilities": RATES}}),
        ("components_", {"array": "nothing"}),
        ("components_", None),
        ("family_", {"class": "Bernoulli", "fields": {}}),
        ("family_", {"class": "Categorical", "fields": {"levels": {"tuple": [2, 2]}}}),
        ("family_", {"tuple": {"tuple": {"tuple": []}}}),
        ("n_features_in_", 3),
        ("n_features_in_", "2"),
        ("feature_names_in_", ["a"]),
    ],
)
def test_impossible_nested_value_is_refused(saved_counts: Path, name: str, value: Any) -> None:
    values = {**header_of(saved_counts)["learned"], name: value}
    rewrite(saved_counts, with_header(saved_counts, learned=values))
    refused(saved_counts, "expected")


def test_deep_nesting_is_refused(saved_counts: Path) -> None:
    deep: Any = 1
    for _ in range(50):
        deep = {"tuple": [deep]}
    params = {**header_of(saved_counts)["params"], "params_init": deep}
    rewrite(saved_counts, with_header(saved_counts, params=params))
    refused(saved_counts, "expected")


@pytest.mark.parametrize("names", [["a"], ["a", 2], "ab", 5])
def test_impossible_column_names_are_refused(saved: Path, names: Any) -> None:
    values = {**header_of(saved)["learned"], "feature_names_in_": names}
    rewrite(saved, with_header(saved, learned=values))
    refused(saved, "expected")


def test_nothing_of_a_declared_size_is_made_before_it_is_checked(saved: Path) -> None:
    declared = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000), }"
    member = b"\x93NUMPY\x01\x00" + (len(declared) + 1).to_bytes(2, "little") + declared + b"\n"
    rewrite(saved, {"learned/means_.npy": member + bytes(64)})
    refused(saved, r"means_: expected 64 bytes of data, got shape \(1000000, 1000000\)")


def test_compressed_bomb_is_not_unpacked(saved: Path) -> None:
    bomb = npy(np.zeros(8_000_000))
    rewrite(saved, {"learned/means_.npy": bomb}, zipfile.ZIP_DEFLATED)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(saved, "expected uncompressed members")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000


def test_member_stored_twice_is_refused(saved: Path) -> None:
    with zipfile.ZipFile(saved, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("learned/means_.npy", npy(np.zeros((2, 2))))
    refused(saved, "with different names")


def test_notes_are_kept_beside_the_model(saved: Path) -> None:
    before = latentcore.load(saved)
    assert storage.notes(saved) == {}
    storage.annotate(saved, {"colours": ["blue", "grün"]})
    storage.annotate(saved, {"year": 1900})
    assert storage.notes(saved) == {"colours": ["blue", "grün"], "year": 1900}
    np.testing.assert_array_equal(latentcore.load(saved).means_, before.means_)


def test_notes_of_a_file_that_is_no_model_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "junk.npz"
    path.write_bytes(b"junk")
    with pytest.raises(StorageError, match=r"junk\.npz: expected a saved model"):
        storage.notes(path)
