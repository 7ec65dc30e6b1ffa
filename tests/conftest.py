"""Fixtures of all tests, and the conditions under which tests are skipped."""

import copy
import gc
import hashlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sam2lora.adapters import store

if TYPE_CHECKING:
    from sam2lora.models.loading import LoadedModel

FILES = Path(__file__).resolve().parent / "files"
DEFAULT_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_configure() -> None:
    """Restore the handling of interrupts, and set an empty folder for napari's settings.

    A shell that starts the tests in the background ignores interrupts. Processes started by tests
    would inherit that, and tests of Ctrl-C would wait in vain. napari reads its settings, and those
    of its plugins, when it is imported.
    """
    os.environ["NAPARI_CONFIG"] = str(Path(tempfile.mkdtemp()) / "settings.yaml")
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Prepare for viewers, if any test opens one.

    triton is loaded first, since after software OpenGL its import can crash Python. What is loaded
    by then is taken out of garbage collection: napari collects several times for each viewer, and
    would go through all modules each time.
    """
    if any(item.get_closest_marker("viewer") for item in session.items):
        with suppress(ImportError):
            import triton  # noqa: F401
        import napari.qt  # noqa: F401
        import torch  # noqa: F401

        gc.collect()
        gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests that need a screen or a CUDA device where there is none."""
    no_screen = sys.platform == "linux" and not any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    )
    for item in items:
        needs_screen = item.get_closest_marker("viewer") or "qtbot" in item.fixturenames
        if no_screen and needs_screen:
            item.add_marker(pytest.mark.skip(reason="no screen: `make test` brings a virtual one"))
        if item.get_closest_marker("gpu") and not _has_cuda():
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real datasets, or skip the test if there is none.

    The folder is `SAM2LORA_TEST_DATA`, else `shared/data` next to the checkout.
    """
    folder = Path(os.environ.get("SAM2LORA_TEST_DATA", DEFAULT_DATA))
    if not folder.is_dir():
        pytest.skip(f"no real datasets at {folder} (set SAM2LORA_TEST_DATA)")
    return folder


@pytest.fixture(autouse=True)
def own_config(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Use empty folders in place of the user's settings and cache.

    The adapters of the package are hidden, since expected results would depend on them; the mark
    `shipped` shows them.
    """
    folder = tmp_path_factory.mktemp("home")
    if request.node.get_closest_marker("shipped") is None:
        monkeypatch.setattr(store, "shipped_folder", lambda: folder / "shipped")
    monkeypatch.setenv("SAM2LORA_CONFIG", str(folder / "config"))
    monkeypatch.setenv("SAM2LORA_CACHE", str(folder / "cache"))
    monkeypatch.setenv("SAM2LORA_RUNS", str(folder / "runs"))
    monkeypatch.setenv("SAM2LORA_ADAPTERS", str(folder / "adapters"))
    monkeypatch.setenv("SAM2LORA_CORRECTIONS", str(folder / "corrections"))


@pytest.fixture(scope="session")
def pocket_base() -> "LoadedModel":
    """Return nano at 128² instead of 512², sixteen times faster; tests must not change it."""
    from sam2lora.models import loading
    from sam2lora.models.registry import BASE_MODELS
    from sam2lora.models.weights import seed_weights, weights_digest

    base = replace(BASE_MODELS["nano"], input_size=128)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "NANO", {**loading.NANO, "image_size": 128})
        network = loading.build_network(base)
    seed_weights(network, seed=1)
    return loading.LoadedModel(base, network, weights_digest(network), trained=True, path=None)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Set torch to one thread, since sharing small computations costs more than it saves."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def pocket(
    pocket_base: "LoadedModel", monkeypatch: pytest.MonkeyPatch, one_thread: None
) -> "Callable[..., LoadedModel]":
    """Make every training load a copy of `pocket_base`."""

    def load(model: str | Path = "nano") -> "LoadedModel":
        return replace(pocket_base, network=copy.deepcopy(pocket_base.network))

    monkeypatch.setattr("sam2lora.training.trainable.load_base", load)
    return load


@pytest.fixture
def version_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the files of the version before, in use as the user's own.

    See the README beside them.
    """
    folder = shutil.copytree(FILES / "version_before", tmp_path / "version_before")
    for path in [*folder.rglob("*.json"), *folder.rglob("*.csv")]:
        text = path.read_text(encoding="utf-8").replace("{folder}", folder.as_posix())
        path.write_text(text, encoding="utf-8")
    images = shutil.copytree(folder / "run" / "data" / "images", folder / "images")
    digest = hashlib.sha256(os.fsencode(images)).hexdigest()[:8]
    (folder / "corrections" / "images").rename(folder / "corrections" / f"images-{digest}")
    for name in ("config", "adapters", "corrections"):
        monkeypatch.setenv(f"SAM2LORA_{name.upper()}", str(folder / name))
    monkeypatch.setenv("SAM2LORA_RUNS", str(folder))
    return folder
