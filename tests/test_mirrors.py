"""Tests mirror the modules: each module has a test module of its name, in a folder of its name."""

import ast
from pathlib import Path

import pytest

from scripts.source_tree import MODULES, SOURCES

TESTS = Path(__file__).resolve().parent

TESTED_WITH = {  # another module of the folder, which they are parts of
    "sam2lora.compute.batch_queue": "workers",
    "sam2lora.compute.worker_count": "workers",
    "sam2lora.evaluation.network_job": "loop",
    "sam2lora.inference.result_files": "batch",
    "sam2lora.evaluation.report.candidates": "writer",
    "sam2lora.evaluation.report.comparison_writer": "comparison",
    "sam2lora.evaluation.report.plots": "writer",
    "sam2lora.evaluation.report.provenance": "writer",
    "sam2lora.evaluation.report.summary": "writer",
    "sam2lora.images.codestream": "raster",
    **{
        f"sam2lora.synthetic.{name}": "fundus"
        for name in (
            *("blood", "camera", "disc", "lens", "lesions", "primitives", "retina", "settings"),
            *("vessel_paint", "vessel_tree"),
        )
    },
}


def has_functions(source: str) -> bool:
    """Check whether `source` defines a function; a module without any has nothing to test."""
    return any(isinstance(node, ast.FunctionDef) for node in ast.walk(ast.parse(source)))


def mirror(name: str) -> str:
    """Return the path of a module's test module; that of a package lies in its folder."""
    parts = [part.lstrip("_") for part in name.split(".")]
    folder = parts if MODULES[name].name == "__init__.py" else parts[:-1]
    return "/".join([*folder, f"test_{TESTED_WITH.get(name, parts[-1])}.py"])


@pytest.mark.parametrize("name", [name for name in MODULES if has_functions(SOURCES[name])])
def test_module_has_a_test_module(name: str):
    assert (TESTS / mirror(name)).is_file(), (
        f"{name} has no test module: write tests/{mirror(name)}"
    )


def test_mirror_is_in_the_folder_of_the_module():
    assert mirror("sam2lora.images.reading") == "sam2lora/images/test_reading.py"
    assert mirror("sam2lora.settings") == "sam2lora/test_settings.py"
    assert mirror("sam2lora.cli") == "sam2lora/cli/test_cli.py"
    assert mirror("sam2lora.synthetic.lens") == "sam2lora/synthetic/test_fundus.py"
    assert mirror("napari_sam2lora._reader") == "napari_sam2lora/test_reader.py"


def test_modules_tested_with_another_exist_and_have_no_test_module():
    for name in TESTED_WITH:
        assert has_functions(SOURCES[name])
        package = TESTS.joinpath(*name.split(".")[:-1])
        assert not (package / f"test_{name.rpartition('.')[2]}.py").exists()
