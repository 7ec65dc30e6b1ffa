"""Loading torch beside the window."""

import subprocess
import sys
import textwrap

import pytest
from napari.utils import DirectLabelColormap

from napari_sam2lora.segmentation.warmup import warm_up_colors


def ran(code: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_all_is_loaded_and_the_collector_is_as_it_was():
    said = ran("""
        import gc, sys, threading, weakref
        from napari_sam2lora.segmentation.warmup import load_torch
        class Layer: pass
        layer, ended = Layer(), []
        layer.itself = layer  # as viewers are: the collector alone frees it
        weakref.finalize(layer, ended.append, True)
        thread = threading.Thread(target=load_torch)
        thread.start()
        thread.join()
        del layer
        gc.collect()
        print(gc.isenabled(), ended == [True])
        expected = {"torch", "sam2lora.inference.predictor", "sam2lora.inference.pipeline"}
        print(expected <= sys.modules.keys())
        before = set(sys.modules)
        load_torch()
        print(set(sys.modules) == before)
        import torch
        print(torch.ones(2).sum().item())
    """)
    assert said.split() == ["True", "True", "True", "True", "2.0"]


def test_without_torch_it_is_the_import_that_complains():
    said = ran("""
        import gc, sys
        sys.modules["torch"] = None
        from napari_sam2lora.segmentation import warmup
        warmup.find_spec = lambda name: None
        try:
            warmup.load_torch()
        except ImportError:
            print("complained", gc.isenabled())
    """)
    assert said == "complained True"


def test_a_mask_of_the_kind_that_accept_makes_is_colored(monkeypatch: pytest.MonkeyPatch):
    colored = []
    real = DirectLabelColormap.map

    def note(self, values):
        colored.append((values.dtype, values.shape, set(self.color_dict)))
        return real(self, values)

    monkeypatch.setattr(DirectLabelColormap, "map", note)
    warm_up_colors()
    assert [(str(dtype), len(shape)) for dtype, shape, _ in colored] == [("uint8", 2)]
    assert None in colored[0][2]  # as in mask_layer: every other label has a color too
