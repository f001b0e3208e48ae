"""The house rules, explained when broken: layers, packaging, and no `__init__.py`."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = ["capture", "retarget", "annotate", "datasets"]
TOP = ["pipeline", "validation", "demo", "app", "cli"]
SOURCES = sorted(p for layer in LAYERS for p in (ROOT / layer).rglob("*.py")) + [ROOT / f"{name}.py" for name in TOP]


def imports(path: Path) -> list[str]:
    """Every ``firsthand`` module a file imports, wherever in the file."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.relative_to(ROOT)} imports relatively; write 'from firsthand.<folder>.<file> import ...'"
            found += [node.module or ""]
    return [name for name in found if name.split(".")[0] == "firsthand"]


def test_no_init_file_anywhere() -> None:
    strays = [p for folder in [*LAYERS, "tests"] for p in (ROOT / folder).rglob("__init__.py")]
    assert not strays, f"{strays}: without __init__.py our datasets/ cannot hide Hugging Face's; docs/architecture.md says why"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_flow_down(path: Path) -> None:
    layer = path.relative_to(ROOT).parts[0].removesuffix(".py")
    order = [*LAYERS, *TOP]
    for name in imports(path):
        target = name.split(".")[1] if "." in name else ""
        allowed = target == layer or (target in order and order.index(target) < order.index(layer))
        assert allowed, f"{path.relative_to(ROOT)} imports {name}: data flows {' -> '.join(order)}, and imports go the other way only"


def test_no_import_cycles() -> None:
    module = {"firsthand." + ".".join(p.relative_to(ROOT).with_suffix("").parts): p for p in SOURCES}
    graph = {name: [i for i in eager_imports(p) if i in module] for name, p in module.items()}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, f"import cycle: {' -> '.join([*trail[trail.index(name) :], name])}"
        if name not in done:
            for target in graph[name]:
                visit(target, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def eager_imports(path: Path) -> list[str]:
    """Imports that run when the file is imported: not those in functions, nor those for type checkers only."""
    body = ast.Module([n for n in ast.parse(path.read_text()).body if not isinstance(n, ast.FunctionDef | ast.ClassDef)], [])
    nodes = [n for n in body.body if not (isinstance(n, ast.If) and "TYPE_CHECKING" in ast.dump(n.test))]
    return [n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module]


def test_every_folder_with_code_is_packaged() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    folders = [p for layer in LAYERS for p in [ROOT / layer, *(ROOT / layer).rglob("*/")] if "__pycache__" not in p.parts]
    there = {"firsthand." + ".".join(p.relative_to(ROOT).parts) for p in folders if any(p.glob("*.py")) or any(p.glob("*.toml"))}
    assert there | {"firsthand"} == listed, "[tool.setuptools] packages must list exactly the folders that hold code or cards"


@pytest.mark.parametrize("how", [["-c", "import datasets; print(datasets.__file__)"]], ids=["python -c"])
def test_our_datasets_folder_hides_nobody_elses(how: list[str], tmp_path: Path) -> None:
    """An installed package called `datasets` (Hugging Face's, in real life) wins over our folder, even in the checkout."""
    other = tmp_path / "site" / "datasets"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("")
    env = {"PYTHONPATH": str(tmp_path / "site")}
    result = subprocess.run([sys.executable, *how], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert str(other) in result.stdout


def test_light_import_needs_no_heavy_package() -> None:
    """The reader of recordings must work in the light core: NumPy and h5py."""
    heavy = ("cv2", "av", "mediapipe", "torch", "pandas", "streamlit", "pyarrow", "numba", "scipy")
    modules = ("capture.recording", "capture.recording_writer", "capture.library", "capture.importer", "cli")
    code = f"import sys, {', '.join('firsthand.' + m for m in modules)}; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]", f"the core brought in {result.stdout.strip()}; import that inside the function that needs it"
