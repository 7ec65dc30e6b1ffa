"""Loading torch on a thread, and warming up the colors of masks."""

import subprocess
import sys
import textwrap

import pytest
from napari.utils import DirectLabelColormap

from napari_sam2lora.segmentation.warmup import warm_up_colors


def run(code: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_torch_is_loaded_on_a_thread_and_the_collector_restored():
    output = run("""
        import gc, sys, threading, weakref
        from napari_sam2lora.segmentation.warmup import load_torch
        class Layer: pass
        layer, ended = Layer(), []
        layer.itself = layer  # like a viewer: only the collector frees it
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
    assert output.split() == ["True", "True", "True", "True", "2.0"]


def test_missing_torch_is_an_import_error():
    output = run("""
        import gc, sys
        sys.modules["torch"] = None
        from napari_sam2lora.segmentation import warmup
        warmup.find_spec = lambda name: None
        try:
            warmup.load_torch()
        except ImportError:
            print("raised", gc.isenabled())
    """)
    assert output == "raised True"


def test_colors_of_an_accepted_mask_are_warmed_up(monkeypatch: pytest.MonkeyPatch):
    mapped = []
    real = DirectLabelColormap.map

    def record(self, values):
        mapped.append((values.dtype, values.shape, set(self.color_dict)))
        return real(self, values)

    monkeypatch.setattr(DirectLabelColormap, "map", record)
    warm_up_colors()
    assert [(str(dtype), len(shape)) for dtype, shape, _ in mapped] == [("uint8", 2)]
    assert None in mapped[0][2]  # as in a mask layer: all other labels have a color
