"""Fixtures every test may use, and what decides whether a test can run here."""

import os
import signal
import sys
import tempfile
from pathlib import Path

import pytest

from sam2lora.adapters import store

DEFAULT_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_configure() -> None:
    """Let interrupts interrupt, and keep the user's own napari settings out of the tests.

    A shell that starts the tests in the background ignores interrupts. Programs that tests start
    would inherit that, and tests of Ctrl-C would wait in vain. napari looks for its settings, and
    those of its plugins, when it is imported.
    """
    os.environ["NAPARI_CONFIG"] = str(Path(tempfile.mkdtemp()) / "settings.yaml")
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, visibly, what needs a screen or a CUDA device where there is none."""
    no_screen = sys.platform == "linux" and not any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    )
    for item in items:
        if no_screen and item.get_closest_marker("viewer"):
            item.add_marker(pytest.mark.skip(reason="no screen: `make test` brings a virtual one"))
        if item.get_closest_marker("gpu") and not _has_cuda():
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Give the folder of real data sets, or skip the test where there is none.

    The place is `SAM2LORA_TEST_DATA`, else `shared/data` beside the checkout.
    """
    folder = Path(os.environ.get("SAM2LORA_TEST_DATA", DEFAULT_DATA))
    if not folder.is_dir():
        pytest.skip(f"no real data sets at {folder} (set SAM2LORA_TEST_DATA)")
    return folder


@pytest.fixture(autouse=True)
def own_config(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Keep every test away from the user's own settings and cache.

    The adapters that come with the package are hidden, since what a test expects would depend on
    them; the mark `shipped` shows them.
    """
    folder = tmp_path_factory.mktemp("home")
    if request.node.get_closest_marker("shipped") is None:
        monkeypatch.setattr(store, "shipped_folder", lambda: folder / "shipped")
    monkeypatch.setenv("SAM2LORA_CONFIG", str(folder / "config"))
    monkeypatch.setenv("SAM2LORA_CACHE", str(folder / "cache"))
    monkeypatch.setenv("SAM2LORA_RUNS", str(folder / "runs"))
    monkeypatch.setenv("SAM2LORA_ADAPTERS", str(folder / "adapters"))
    monkeypatch.setenv("SAM2LORA_CORRECTIONS", str(folder / "corrections"))
