# ruff: noqa: E501
"""What keeps the two packages apart: who may import whom, what loads no torch, Qt or network."""

import ast
import json
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml

import sam2lora

TESTS = Path(__file__).resolve().parent
PACKAGES = {name: Path(find_spec(name).origin).parent for name in ("sam2lora", "napari_sam2lora")}

VIEWER = {
    *("napari", "napari_sam2lora", "vispy", "qtpy", "superqt", "magicgui", "pyqtgraph"),
    *("PyQt5", "PyQt6", "PySide2", "PySide6"),
}
HEAVY = {"torch", "torchvision", "sam2", "peft", "monai", "accelerate", "transformers"}
TORCH_FREE = {
    *("adapters", "annotations", "cli", "datasets", "errors", "evaluation", "images", "metrics"),
    *("images.field_of_view", "images.visualization", "inference.memory", "inference.settings"),
    *("metrics.aggregate", "metrics.measurements", "metrics.segmentation", "runs", "settings"),
    *("synthetic", "targets", "training.settings", "transforms.windows", "types", "utils.files"),
}


def modules() -> dict[str, Path]:
    """Give every module of both packages by its dotted name."""
    found = {}
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = (package, *path.relative_to(folder).with_suffix("").parts)
            found[".".join(parts).removesuffix(".__init__")] = path
    return found


MODULES = modules()
SOURCES = {name: path.read_text(encoding="utf-8") for name, path in MODULES.items()}


def imports(source: str, module: str = "package.module") -> set[str]:
    """Give the dotted names that `source` imports, inside functions too, but not for type checks.

    `from a import b` gives both `a` and `a.b`, since `b` may be a module.
    """
    found = set()
    for node in _without_type_checks(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = ".".join(module.split(".")[: -node.level]) if node.level else ""
            base = ".".join(part for part in (start, node.module) if part)
            found.update([base, *(f"{base}.{alias.name}" for alias in node.names)])
    return found


def _without_type_checks(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from _without_type_checks(child)


def roots(source: str) -> set[str]:
    """Give the top-level packages that `source` imports."""
    return {name.split(".")[0] for name in imports(source)}


def unsafe_loads(source: str) -> list[str]:
    """Give the ways in `source` to run code that a file brings along."""
    found = []
    pickles = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
    found += sorted(pickles & roots(source))
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        arguments = {word.arg: ast.unparse(word.value) for word in node.keywords}
        called = ast.unparse(node.func)
        pickled = called.endswith("torch.load") and not called.startswith("safetensors.")
        if pickled and arguments.get("weights_only") != "True":
            found.append(ast.unparse(node))
        if arguments.get("allow_pickle", "False") != "False":
            found.append(ast.unparse(node))
    if "torch.load" in imports(source):
        found.append("from torch import load")
    return found


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """Give one cycle of a directed graph, or nothing."""
    finished: set[str] = set()

    def visit(node: str, path: list[str]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node not in finished:
            for successor in sorted(graph[node]):
                if found := visit(successor, [*path, node]):
                    return found
            finished.add(node)
        return []

    return next((found for node in graph if (found := visit(node, []))), [])


def loaded_by(code: str, *arguments: str) -> set[str]:
    """Give the top-level packages that a fresh Python has loaded after running `code`."""
    code = textwrap.dedent(code) + textwrap.dedent("""
        import json, sys
        print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
    """)
    return set(json.loads(run_python(code, *arguments).splitlines()[-1]))


def run_python(code: str, *arguments: str) -> str:
    """Run `code` in a fresh Python and give what it prints."""
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_both_packages_are_found():
    assert {"sam2lora.targets", "sam2lora.cli", "napari_sam2lora"} <= MODULES.keys()


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("sam2lora")])
def test_headless_modules_import_no_viewer(name: str):
    assert not roots(SOURCES[name]) & VIEWER


@pytest.mark.parametrize("name", list(MODULES))
def test_only_model_loading_imports_sam2(name: str):
    assert name == "sam2lora.models.loading" or "sam2" not in roots(SOURCES[name])


@pytest.mark.parametrize("name", list(MODULES))
def test_files_are_never_unpickled(name: str):
    assert unsafe_loads(SOURCES[name]) == []


def test_imports_have_no_cycle():
    graph = {name: imports(SOURCES[name], name) & MODULES.keys() for name in MODULES}
    for name in graph:  # a package may import its parts, and they the package's name, as cli does
        graph[name] -= {name.rpartition(".")[0], name}
    assert cycle(graph) == []


def test_the_rules_above_notice_a_breach():
    assert imports("from . import b\nfrom .c import d", "p.a") == {"p", "p.b", "p.c", "p.c.d"}
    assert roots("def f():\n    from napari.layers import Image") == {"napari"}
    assert roots("if TYPE_CHECKING:\n    import napari\nimport os") == {"os"}
    assert unsafe_loads("import pickle") == ["pickle"]
    assert unsafe_loads("torch.load(path)") == ["torch.load(path)"]
    assert unsafe_loads("torch.load(path, weights_only=False)") != []
    assert unsafe_loads("from torch import load") != []
    assert unsafe_loads("np.load(path, allow_pickle=True)") != []
    assert unsafe_loads("torch.load(path, weights_only=True)\nnp.load(path)") == []
    assert unsafe_loads("safetensors.torch.load(content)") == []
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert cycle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
    assert "sqlite3" in loaded_by("import sqlite3")
    assert "sqlite3" not in loaded_by("")


@pytest.mark.parametrize("name", sorted(TORCH_FREE))
def test_light_modules_load_neither_torch_nor_a_viewer(name: str):
    if f"sam2lora.{name}" not in MODULES:
        pytest.skip("not written yet")
    assert not loaded_by(f"import sam2lora.{name}") & (HEAVY | VIEWER)


PREDICTS_OR_TRAINS = {"load_predictor", "segment_files", "segment_image", "train"}


@pytest.mark.parametrize("name", ["__version__", *sorted({*sam2lora.__all__} - PREDICTS_OR_TRAINS)])
def test_public_names_that_do_not_predict_or_train_load_no_torch(name: str):
    assert not loaded_by(f"from sam2lora import {name}") & (HEAVY | VIEWER)


def test_importing_and_listing_the_library_loads_none_of_its_modules():
    code = "import sam2lora, sys; dir(sam2lora); print([n for n in sys.modules if 'sam2lora' in n])"
    assert run_python(code).strip() == "['sam2lora']"
    assert "torch" in loaded_by("from sam2lora import load_predictor")


def test_the_headless_package_loads_no_viewer():
    names = [name for name in MODULES if name.startswith("sam2lora")]
    assert not loaded_by("\n".join(f"import {name}" for name in names)) & VIEWER


def test_nothing_napari_can_call_loads_torch(tmp_path: Path):
    image = tmp_path / "21_training.tif"
    tifffile.imwrite(image, np.zeros((64, 64, 3), np.uint8), compression="lzw")
    manifest = yaml.safe_load((PACKAGES["napari_sam2lora"] / "napari.yaml").read_text())
    offered = manifest["contributions"]
    commands = {command["id"]: command["python_name"] for command in offered["commands"]}
    readers = [commands[reader["command"]] for reader in offered["readers"]]
    samples = [commands[sample["command"]] for sample in offered["sample_data"]]
    loaded = loaded_by(
        """
        import importlib, sys
        import napari_sam2lora
        path, readers, samples, commands = sys.argv[1], *(each.split() for each in sys.argv[2:])

        def find(name):
            module, function = name.split(":")
            return getattr(importlib.import_module(module), function)

        for name in readers:
            data, *_ = find(name)(path)(path)[0]
            assert data.shape == (64, 64, 3)
        for name in samples:
            assert find(name)()
        for name in commands:
            assert callable(find(name))
        """,
        str(image),
        " ".join(readers),
        " ".join(samples),
        " ".join([*commands.values(), manifest["on_activate"]]),
    )
    assert readers
    assert samples
    assert "sam2lora" in loaded
    assert not loaded & HEAVY


NETWORK = """
    import sys
    used = []
    asked = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
    sys.addaudithook(lambda event, _: used.append(event) if event in asked else None)
"""


def network_used_by(code: str) -> str:
    """Give the network events of a fresh Python that runs `code`, as text."""
    return run_python(textwrap.dedent(NETWORK) + textwrap.dedent(code) + "\nprint(used)").strip()


def test_nothing_asks_the_network_when_imported():
    lookup = "import socket\nsocket.getaddrinfo('127.0.0.1', 80)"
    assert network_used_by(lookup) == "['socket.getaddrinfo']"
    everything = "\n".join(f"import {name}" for name in MODULES)
    assert network_used_by(everything).splitlines()[-1] == "[]"


IMPORTED_AS = {"pillow": "PIL", "scikit-image": "skimage"}
OPTIONAL = {"napari", "qtpy", "pyqtgraph", "pydicom"}  # of the extras `all` and `dicom`
FOR_OTHERS = {"npe2"}  # reads our manifest in napari, which brings it; here is the floor


def test_base_dependencies_are_what_the_sources_import():
    project = tomllib.loads((TESTS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    names = {line.partition(">=")[0] for line in project["project"]["dependencies"]}
    declared = {IMPORTED_AS.get(name, name.replace("-", "_")) for name in names - FOR_OTHERS}
    imported = set().union(*map(roots, SOURCES.values()))
    others = imported - sys.stdlib_module_names - PACKAGES.keys() - OPTIONAL
    assert declared == others


def functions_in(source: str) -> bool:
    """Tell whether `source` defines a function: what has none has nothing to test."""
    return any(isinstance(node, ast.FunctionDef) for node in ast.walk(ast.parse(source)))


TESTED_ELSEWHERE = {  # by their way in, where they are of no use without it
    "napari_sam2lora.layers.insertion": "napari_sam2lora/layers/test_preview.py",
    "napari_sam2lora.segmentation.results": "napari_sam2lora/segmentation/test_dock.py",
    "napari_sam2lora.qt.close_guard": "napari_sam2lora/image_list/test_dock.py",
    "napari_sam2lora.segmentation.model_comparison": "napari_sam2lora/segmentation/widgets/test_comparison_panel.py",
    "napari_sam2lora.segmentation.engine": "napari_sam2lora/segmentation/test_dock.py",
    "napari_sam2lora.qt.dock_protocol": "napari_sam2lora/qt/test_dock_protocol.py",
    "napari_sam2lora.layers.image_ids": "napari_sam2lora/layers/test_image_ids.py",
    "napari_sam2lora.layers.mask_events": "napari_sam2lora/segmentation/test_live_measurements.py",
    "napari_sam2lora.layers.prompt_history": "napari_sam2lora/layers/test_prompts.py",
    "napari_sam2lora.layers.images": "napari_sam2lora/segmentation/test_dock.py",
    "napari_sam2lora.layers.prompt_conversion": "napari_sam2lora/layers/test_prompts.py",
    "napari_sam2lora.segmentation.requests": "napari_sam2lora/segmentation/test_dock.py",
    "napari_sam2lora.segmentation.session": "napari_sam2lora/segmentation/test_dock.py",
    "napari_sam2lora.segmentation.widgets.model_panel": "napari_sam2lora/segmentation/test_model_controller.py",
    "napari_sam2lora.segmentation.batch_controller": "napari_sam2lora/segmentation/widgets/test_batch_panel.py",
    "napari_sam2lora.segmentation.cli_command": "napari_sam2lora/segmentation/widgets/test_batch_panel.py",
    "napari_sam2lora.segmentation.comparison_controller": "napari_sam2lora/segmentation/widgets/test_comparison_panel.py",
    "napari_sam2lora.segmentation.viewer_sync": "napari_sam2lora/segmentation/test_dock.py",
    "napari_sam2lora.segmentation.widgets.measurement_rows": "napari_sam2lora/segmentation/widgets/test_rows.py",
    "napari_sam2lora.segmentation.widgets.progress_bar": "napari_sam2lora/segmentation/widgets/test_rows.py",
    "napari_sam2lora.segmentation.widgets.prompt_controls": "napari_sam2lora/segmentation/widgets/test_rows.py",
    "napari_sam2lora.segmentation.widgets.target_selector": "napari_sam2lora/segmentation/widgets/test_rows.py",
    "napari_sam2lora.segmentation.widgets.threshold_controls": "napari_sam2lora/segmentation/widgets/test_rows.py",
    "sam2lora.evaluation.report.summary": "sam2lora/evaluation/report/test_writer.py",
    "sam2lora.evaluation.report.comparison_writer": "sam2lora/evaluation/report/test_comparison.py",
    "sam2lora.evaluation.report.candidates": "sam2lora/evaluation/report/test_writer.py",
    "sam2lora.evaluation.report.plots": "sam2lora/evaluation/report/test_writer.py",
    "sam2lora.evaluation.report.provenance": "sam2lora/evaluation/report/test_writer.py",
    "sam2lora.images.decoding": "sam2lora/images/test_reading.py",
    "sam2lora.inference.segment": "sam2lora/inference/test_pipeline.py",
    "sam2lora.synthetic": "sam2lora/synthetic/test_fundus.py",  # and all modules in it
}


def mirrors(name: str) -> list[str]:
    """Give the test modules of which one must be there: its own, or the one named above.

    The package of a module may lie in the folder of its tests, or in the test module's name.
    """
    package, *parts = name.split(".")
    parts = [part.lstrip("_") for part in parts] or ["package"]
    own = [
        f"{'/'.join([package, *parts[:-1]])}/test_{parts[-1]}.py",
        f"{package}/test_{'_'.join(parts)}.py",
    ]
    elsewhere = [TESTED_ELSEWHERE.get(name), TESTED_ELSEWHERE.get(name.rpartition(".")[0])]
    return list(dict.fromkeys([*own, *filter(None, elsewhere)]))


@pytest.mark.parametrize("name", [name for name, source in SOURCES.items() if functions_in(source)])
def test_every_module_has_its_tests(name: str):
    found = any((TESTS / mirror).is_file() for mirror in mirrors(name))
    assert found, f"{name} has no test module: write tests/{' or tests/'.join(mirrors(name))}"


def test_mirrors_are_where_people_look():
    assert set(mirrors("sam2lora.images.reading")) == {"sam2lora/images/test_reading.py"}
    assert mirrors("sam2lora.datasets.splits")[0] == "sam2lora/datasets/test_splits.py"
    assert "sam2lora/cli/test_models.py" in mirrors("sam2lora.cli.models")
    assert mirrors("sam2lora.synthetic.lens")[-1] == "sam2lora/synthetic/test_fundus.py"
    assert mirrors("napari_sam2lora._reader")[0] == "napari_sam2lora/test_reader.py"
    for name in ("sam2lora.no_such", "sam2lora.cli.no_such", "sam2lora.evaluation.no_such"):
        assert not any((TESTS / mirror).is_file() for mirror in mirrors(name))
    assert all((TESTS / file).is_file() for file in TESTED_ELSEWHERE.values())
    assert TESTED_ELSEWHERE.keys() <= MODULES.keys()
