# ruff: noqa: E501
"""Tests mirror the modules: each module has a test module of its name, in a folder of its name."""

import ast
from pathlib import Path

import pytest

from scripts.source_tree import MODULES, SOURCES

TESTS = Path(__file__).resolve().parent


def functions_in(source: str) -> bool:
    """Tell whether `source` defines a function: what has none has nothing to test."""
    return any(isinstance(node, ast.FunctionDef) for node in ast.walk(ast.parse(source)))


TESTED_ELSEWHERE = {  # by their way in, where they are of no use without it
    "napari_sam2lora.segmentation.results": "napari_sam2lora/segmentation/test_dock.py",
    "napari_sam2lora.segmentation.model_comparison": "napari_sam2lora/segmentation/widgets/test_comparison_panel.py",
    "napari_sam2lora.segmentation.engine": "napari_sam2lora/segmentation/test_dock.py",
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
