"""What the packages may import and load: no viewer in the library, no torch at start, no pickle."""

import ast
import json
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager

import sam2lora
from scripts.source_tree import MODULES, PACKAGES, SOURCES, cycle, imports, roots

TESTS = Path(__file__).resolve().parent

VIEWER = {
    *("napari", "napari_sam2lora", "vispy", "qtpy", "superqt", "magicgui", "pyqtgraph"),
    *("PyQt5", "PyQt6", "PySide2", "PySide6"),
}
HEAVY = {"torch", "torchvision", "sam2", "peft", "monai", "accelerate", "transformers"}
TORCH_FREE = {
    *(
        "adapters",
        "annotations",
        "cli",
        "cohort",
        "datasets",
        "errors",
        "evaluation",
        "grading",
        "images",
        "metrics",
    ),
    *("images.field_of_view", "images.visualization", "inference.memory", "inference.settings"),
    *("cohort", "measurements", "metrics.aggregate", "metrics.segmentation", "runs", "settings"),
    *("synthetic", "targets", "training.settings", "transforms.windows", "types", "utils.files"),
}


def unsafe_loads(source: str) -> list[str]:
    """Return the calls and imports in `source` that could run code from a file."""
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


def loaded_by(code: str, *arguments: str) -> set[str]:
    """Return the top-level packages that a new Python process has loaded after running `code`."""
    code = textwrap.dedent(code) + textwrap.dedent("""
        import json, sys
        print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
    """)
    return set(json.loads(run_python(code, *arguments).splitlines()[-1]))


def run_python(code: str, *arguments: str) -> str:
    """Run `code` in a new Python process, and return its output."""
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


def test_rules_detect_violations():
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


PREDICTS_OR_TRAINS = {"load_predictor", "locate_image", "segment_files", "segment_image", "train"}


@pytest.mark.parametrize("name", ["__version__", *sorted({*sam2lora.__all__} - PREDICTS_OR_TRAINS)])
def test_public_names_that_do_not_predict_or_train_load_no_torch(name: str):
    assert not loaded_by(f"from sam2lora import {name}") & (HEAVY | VIEWER)


def test_importing_and_listing_the_library_loads_none_of_its_modules():
    code = "import sam2lora, sys; dir(sam2lora); print([n for n in sys.modules if 'sam2lora' in n])"
    assert run_python(code).strip() == "['sam2lora']"
    assert "torch" in loaded_by("from sam2lora import load_predictor")


def test_headless_package_loads_no_viewer():
    names = [name for name in MODULES if name.startswith("sam2lora")]
    assert not loaded_by("\n".join(f"import {name}" for name in names)) & VIEWER


def test_commands_of_the_manifest_load_no_torch(tmp_path: Path):
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
    watched = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
    sys.addaudithook(lambda event, _: used.append(event) if event in watched else None)
"""


def network_used_by(code: str) -> str:
    """Return the network events of a new Python process that runs `code`, as text."""
    return run_python(textwrap.dedent(NETWORK) + textwrap.dedent(code) + "\nprint(used)").strip()


def test_imports_use_no_network():
    lookup = "import socket\nsocket.getaddrinfo('127.0.0.1', 80)"
    assert network_used_by(lookup) == "['socket.getaddrinfo']"
    everything = "\n".join(f"import {name}" for name in MODULES)
    assert network_used_by(everything).splitlines()[-1] == "[]"


IMPORTED_AS = {"pillow": "PIL", "scikit-image": "skimage"}
# Of the extras `all`, `cluster`, `dicom`, `grading`, `parquet` and `vascx`.
OPTIONAL = {
    *("napari", "qtpy", "pyqtgraph", "pydicom", "pyarrow", "vascx", "rtnls_fundusprep"),
    *("cryptography", "dask", "dask_jobqueue", "distributed"),
    "SimpleITK",
}


def test_base_dependencies_are_what_the_sources_import():
    project = tomllib.loads((TESTS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    names = {line.partition(">=")[0] for line in project["project"]["dependencies"]}
    declared = {IMPORTED_AS.get(name, name.replace("-", "_")) for name in names}
    imported = set().union(*map(roots, SOURCES.values()))
    others = imported - sys.stdlib_module_names - PACKAGES.keys() - OPTIONAL
    assert declared == others


def test_extra_all_contains_what_the_commands_of_the_readme_need():
    extras = ProjectMetadata(str(TESTS.parent), PluginManager()).core.optional_dependencies
    assert {*extras["cluster"], *extras["grading"]} <= set(extras["all"])
