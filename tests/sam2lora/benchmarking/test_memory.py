"""Memory of this process."""

import numpy as np

from sam2lora.benchmarking.memory import current_bytes, peak_bytes


def test_the_peak_grows_with_what_is_held():
    before = peak_bytes()
    held = np.ones(64 << 20, dtype=np.uint8)
    assert current_bytes() >= held.nbytes
    assert peak_bytes() >= before
    del held
    assert peak_bytes() >= current_bytes()
