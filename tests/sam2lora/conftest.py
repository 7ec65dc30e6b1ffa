"""Fixtures: stock SAM 2, a local file server, the command line, datasets and adapters."""

import copy
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from sam2lora.adapters.card import AdapterCard, library_versions, now
from sam2lora.adapters.detail_head import head_tensors, new_detail_head
from sam2lora.adapters.folder import Adapter
from sam2lora.adapters.lora import add_lora, lora_tensors, trainable_count, trainable_share
from sam2lora.adapters.serialization import save_adapter
from sam2lora.cli import main
from sam2lora.models.loading import LoadedModel, random_base
from sam2lora.settings import DetailHeadSettings, GeometrySettings, LoraSettings
from sam2lora.synthetic import SyntheticSettings, draw_fundus
from sam2lora.targets import TARGETS

RANK_4 = LoraSettings(rank=4, alpha=8)

if TYPE_CHECKING:
    from sam2.modeling.sam2_base import SAM2Base

    from sam2lora.compute.workers import Cluster


class FileServer(ThreadingHTTPServer):
    """Serves `content` at `url`; each request uses up one of `behaviors`, then all is normal."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = b""
        self.behaviors: list[str] = []
        self.ranges: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/models/file.pt"


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        server = self.server
        behavior = server.behaviors.pop(0) if server.behaviors else "honest"
        requested = self.headers.get("Range")
        server.ranges.append(requested)
        if behavior.isdigit():
            self.send_error(int(behavior))
            return
        start = int(requested.removeprefix("bytes=").rstrip("-")) if requested else 0
        if "ignore range" in behavior:
            start = 0
        if start and start >= len(server.content):
            self.send_error(416)
            return
        body = server.content[start:]
        announced = len(body)
        if "promise more" in behavior:
            announced += 1000
        if behavior == "promise less":
            body = body[: len(body) // 2]
            announced = len(body)
        self.send_response(206 if start else 200)
        if behavior != "tell nothing":
            self.send_header("Content-Length", str(announced))
        if start:
            first = 0 if behavior == "wrong place" else start
            end, length = len(server.content) - 1, len(server.content)
            self.send_header("Content-Range", f"bytes {first}-{end}/{length}")
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if behavior == "break off" else body)
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def file_server() -> Iterator[FileServer]:
    """Return a local server that can break off, announce false lengths, and refuse."""
    server = FileServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="session")
def stock_sam2() -> "Callable[[str], SAM2Base]":
    """Return a function that builds stock SAM2Base models by name, with the same random weights.

    nano has stand-ins for the memory modules; the others are complete, as official checkpoints are.
    Object scores do not gate the masks, since the logits before gating are compared.
    """

    @cache
    def build(name: str) -> "SAM2Base":
        import torch
        from hydra.utils import instantiate
        from omegaconf import OmegaConf

        from sam2lora.models.loading import NANO, sam2_config
        from sam2lora.models.registry import BASE_MODELS

        config = OmegaConf.create(sam2_config(BASE_MODELS["tiny"].config))
        if name == "nano":
            config = OmegaConf.merge(config, NANO)
            config.image_encoder.neck.position_encoding.num_pos_feats = 128
            config.memory_attention = {"_target_": "torch.nn.Identity"}
            config.memory_encoder = {"_target_": "torch.nn.Identity"}
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(3)
            model = instantiate(config).eval()
            # Position maps start at zero and norms at one; no value may stay special.
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.05)
        model.pred_obj_scores = False
        return model

    return build


@pytest.fixture(scope="session")
def photo() -> NDArray[np.uint8]:
    """Return a fundus image of 160 × 160 pixels with a round field of view; do not change it."""
    from sam2lora.synthetic import draw_fundus
    from sam2lora.synthetic.settings import SyntheticSettings

    return draw_fundus(3, SyntheticSettings(size=160)).image


@dataclass(frozen=True)
class Ran:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str


@pytest.fixture
def run_cli(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ran]:
    """Return a function that runs `sam2lora` with its arguments in this process."""

    def run(*arguments: object) -> Ran:
        monkeypatch.setattr("sys.argv", ["sam2lora", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        return Ran(int(left.value.code or 0), out, err)

    return run


@pytest.fixture(scope="session")
def write_eyes() -> Callable[..., Path]:
    """Return a function that writes a dataset: both eyes of each patient, with disc and vessels."""
    from sam2lora.synthetic import draw_fundus
    from sam2lora.synthetic.settings import SyntheticSettings

    def write(root: Path, *, patients: int = 4, first: int = 0, size: int = 128) -> Path:
        for number in range(2 * first, 2 * (first + patients)):
            drawn = draw_fundus(number, SyntheticSettings(size=size))
            name = f"p{number // 2:02}_{'right' if number % 2 else 'left'}.png"
            masks = {f"masks/{target}": drawn.masks[target] for target in ("disc", "vessel")}
            for place, pixels in {"images": drawn.image, **masks}.items():
                (root / place).mkdir(parents=True, exist_ok=True)
                scaled = pixels if pixels.ndim == 3 else pixels.astype(np.uint8) * 255
                Image.fromarray(scaled).save(root / place / name)
        return root

    return write


@pytest.fixture(scope="session")
def eyes(
    write_eyes: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """Return a dataset of four patients; that no test changed it is checked at the end."""
    root = write_eyes(tmp_path_factory.mktemp("data") / "eyes")

    def read() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}

    before = read()
    yield root
    after = read()
    changed = [path.name for path in before | after if before.get(path) != after.get(path)]
    assert not changed, f"a test changed the dataset that all share: {changed}"


@pytest.fixture(scope="session")
def untouched() -> LoadedModel:
    """Return nano with random weights, which tests must not change."""
    return random_base("nano")


@pytest.fixture
def base(untouched: LoadedModel) -> LoadedModel:
    """Return nano with a copy of the network, which the test may change."""
    return replace(untouched, network=copy.deepcopy(untouched.network))


@pytest.fixture
def make_card(untouched: LoadedModel) -> Callable[..., AdapterCard]:
    """Return a function that creates cards; its arguments override the default fields."""

    def make(**fields: Any) -> AdapterCard:
        default = {
            "name": "vessel-test",
            "target": TARGETS["vessel"],
            "base": {"name": "nano", "identity": untouched.weights_sha256},
            "geometry": GeometrySettings(detail="tiles", field_size=900),
            "lora": RANK_4,
            "threshold": 0.4,
            "trainable": 35456,
            "share": 1.13,
            "versions": library_versions(),
            "created": now(),
        }
        return AdapterCard.model_validate(default | fields)

    return make


@pytest.fixture
def make_adapter(
    untouched: LoadedModel, make_card: Callable[..., AdapterCard], tmp_path: Path
) -> Callable[..., Adapter]:
    """Return a function that writes an untrained adapter whose B and heads are random.

    With settings of a detail head it has one, random as well.
    """

    def make(
        name: str = "vessel-test",
        *,
        folder: Path | None = None,
        lora: LoraSettings = RANK_4,
        seed: int = 1,
        source: LoadedModel = untouched,
        detail_head: DetailHeadSettings | None = None,
        **fields: Any,
    ) -> Adapter:
        model = add_lora(copy.deepcopy(source.network), lora, seed=seed)
        tensors = lora_tensors(model)
        generator = torch.Generator().manual_seed(seed)
        for tensor_name, tensor in sorted(tensors.items()):
            if not tensor_name.endswith("lora_A.weight"):
                tensor.add_(torch.randn(tensor.shape, generator=generator), alpha=0.02)
        card = make_card(
            name=name,
            lora=lora,
            base={"name": "nano", "identity": source.weights_sha256},
            trainable=trainable_count(model),
            share=trainable_share(model),
            detail_head=detail_head,
            **fields,
        )
        head = None
        if detail_head is not None:
            head = head_tensors(new_detail_head(source.network, detail_head, seed=seed))
            for tensor in head.values():
                tensor.add_(torch.rand(tensor.shape, generator=generator), alpha=0.02)
        return save_adapter(tensors, card, folder or tmp_path / "made" / name, head=head)

    return make


@pytest.fixture(scope="session")
def shared_cluster() -> "Iterator[Cluster]":
    """Open a cluster of two workers, which all tests share."""
    from sam2lora.compute.cluster import open_cluster

    with open_cluster("local:2", device="cpu") as opened:
        assert opened is not None
        yield opened


@pytest.fixture
def cluster(shared_cluster: "Cluster") -> "Cluster":
    """Return the shared cluster once both workers are there."""
    shared_cluster._client.wait_for_workers(2, timeout=120)
    return shared_cluster


@pytest.fixture
def own_cluster() -> "Iterator[Cluster]":
    """Open two workers for one test that kills one; on a busy machine, Dask may not replace it."""
    from sam2lora.compute.cluster import open_cluster

    with open_cluster("local:2", device="cpu") as opened:
        assert opened is not None
        opened._client.wait_for_workers(2, timeout=120)
        yield opened


@pytest.fixture
def kill_worker(own_cluster: "Cluster") -> Callable[[], None]:
    """Return a function that kills one of the two workers."""

    def kill() -> None:
        pid = next(iter(own_cluster._client.run(os.getpid).values()))
        os.kill(pid, signal.SIGKILL)

    return kill


@pytest.fixture
def files_of_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write what README and Python page name, and go there: images and a data set."""
    monkeypatch.chdir(tmp_path)
    for folder in ("photos", "eyes/images", "eyes/masks/disc"):
        Path(folder).mkdir(parents=True)
    drawn = draw_fundus(3, SyntheticSettings(size=512))
    for path in ("eye.jpg", "photos/first.jpg", "photos/second.jpg"):
        Image.fromarray(drawn.image).save(path)
    for seed in (3, 4):
        eye = draw_fundus(seed, SyntheticSettings(size=256))
        Image.fromarray(eye.image).save(f"eyes/images/{seed}.png")
        mask = eye.masks["disc"].astype(np.uint8) * 255
        Image.fromarray(mask).save(f"eyes/masks/disc/{seed}.png")
    return tmp_path
