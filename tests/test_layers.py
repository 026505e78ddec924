"""Folders are layers: imports point down, and importing the package needs NumPy alone."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "python" / "latentcore"
BINDINGS = Path(__file__).parents[1] / "src" / "bindings" / "latentcore"

# A module imports from its own layer or below. A folder stands for all that is in it; a module
# without a layer fails the tests.
LAYERS = {
    "latentcore.errors": 0,
    "latentcore._core": 1,
    "latentcore._gaussian": 1,
    "latentcore._hmm": 1,
    "latentcore._kmeans": 1,
    "latentcore._linalg": 1,
    "latentcore._linear": 1,
    "latentcore._logspace": 1,
    "latentcore._special": 1,
    "latentcore.kernels": 1,
    "latentcore.arrays": 2,
    "latentcore.assignment": 2,
    "latentcore.floors": 2,
    "latentcore.protocols": 2,
    "latentcore.sequences": 2,
    "latentcore.statistics": 2,
    "latentcore.threads": 2,
    "latentcore.families": 3,
    "latentcore.structures": 3,
    "latentcore.diagnostics": 4,
    "latentcore.rules": 4,
    "latentcore.engine": 5,
    "latentcore.initialization": 5,
    "latentcore.parts": 5,
    "latentcore.regrouping": 5,
    "latentcore.sources": 5,
    "latentcore.streams": 5,
    "latentcore.compat": 6,
    "latentcore.datasets": 6,
    "latentcore.distributed": 6,
    "latentcore.estimators": 6,
    "latentcore.selection": 6,
    "latentcore.splitters": 6,
    "latentcore.storage": 6,
    "latentcore": 7,  # the package itself: its public names
    "latentcore.__main__": 7,
    "latentcore.cli": 7,
    "latentcore.plots": 7,
}

# What the layers do not say: a family never imports a structure, a structure takes families as
# values, and a rule knows nothing concrete.
FORBIDDEN = {
    "latentcore.families": ("latentcore.structures",),
    "latentcore.structures": ("latentcore.families",),
    "latentcore.rules": ("latentcore.families", "latentcore.structures", "latentcore.kernels"),
}


@dataclass(frozen=True)
class Import:
    """One imported module; ``always`` if importing the importer imports it."""

    importer: str
    line: int
    module: str
    always: bool

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.module}"


def module_name(path: Path) -> str:
    parts = ("latentcore", *path.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def layer(module: str) -> int | None:
    """The layer of a module, or of the folder that it is in."""
    while module != "latentcore" or module in LAYERS:
        if module in LAYERS:
            return LAYERS[module]
        module = module.rpartition(".")[0]
        if module == "latentcore":
            return None
    return None


def imports(path: Path, modules: frozenset[str]) -> Iterator[Import]:
    """All imports of a file, those inside functions and under TYPE_CHECKING too."""
    importer = module_name(path)

    def visit(node: ast.AST, always: bool) -> Iterator[Import]:
        child: ast.AST
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(importer, node.lineno, alias.name, always)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{importer}:{node.lineno}: imports are absolute here"
            assert node.module is not None
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield Import(
                    importer, node.lineno, name if name in modules else node.module, always
                )
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.body:
                yield from visit(child, False)
            for child in node.orelse:
                yield from visit(child, always)
        else:
            inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for child in ast.iter_child_nodes(node):
                yield from visit(child, always and not inside)

    yield from visit(ast.parse(path.read_text(encoding="utf-8")), True)


FILES = sorted(SOURCE.rglob("*.py"))
COMPILED = sorted(f"latentcore.{path.stem}" for path in BINDINGS.glob("*.pyx"))
MODULES = frozenset({module_name(path) for path in FILES} | set(COMPILED))
IMPORTS = [found for path in FILES for found in imports(path, MODULES)]
INTERNAL = [found for found in IMPORTS if is_within(found.module, "latentcore")]


@pytest.mark.parametrize("module", sorted(MODULES))
def test_module_has_a_layer(module: str) -> None:
    assert layer(module) is not None, f"give {module} a line in LAYERS"


def test_imports_point_down() -> None:
    upwards = [
        f"{found} (layer {layer(found.importer)} from {layer(found.module)})"
        for found in INTERNAL
        if (layer(found.importer) or 0) < (layer(found.module) or 0)
    ]
    assert not upwards


def test_layers_know_nothing_that_the_design_keeps_from_them() -> None:
    wrong = [
        str(found)
        for found in INTERNAL
        for importer, targets in FORBIDDEN.items()
        if is_within(found.importer, importer) and any(is_within(found.module, t) for t in targets)
    ]
    assert not wrong


def test_imports_have_no_cycle() -> None:
    below = {module: {i.module for i in INTERNAL if i.importer == module} for module in MODULES}
    while leaves := {module for module, targets in below.items() if not targets & below.keys()}:
        below = {module: targets for module, targets in below.items() if module not in leaves}
    assert not below


def test_only_numpy_is_imported_at_module_level() -> None:
    foreign = [
        str(found)
        for found in IMPORTS
        if found.always
        and found.module.partition(".")[0] not in {"latentcore", "numpy", *sys.stdlib_module_names}
    ]
    assert not foreign


def test_importing_every_module_loads_numpy_alone() -> None:
    names = sorted(MODULES - {"latentcore.__main__"})
    optional = ["sklearn", "scipy", "pandas", "polars", "pyarrow", "matplotlib", "typer", "rich"]
    optional += ["dask", "distributed", "pyspark", "cloudpickle"]
    program = (
        f"import importlib, sys\nfor name in {names}: importlib.import_module(name)\n"
        f"print([name for name in {optional} if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.stderr == ""
    assert result.stdout.strip() == "[]"


def test_modules_that_the_package_does_not_import_are_its_attributes_still() -> None:
    script = (
        "import sys, latentcore\n"
        "assert not {'latentcore.plots', 'latentcore.distributed'} & set(sys.modules)\n"
        "latentcore.distributed.fit, latentcore.plots.fit_figure, latentcore.datasets.load_iris\n"
        "assert not hasattr(latentcore, 'other')\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
