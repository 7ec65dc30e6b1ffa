"""The base models and their files; nothing here imports torch, so listing them is instant."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType

from sam2lora.errors import ModelError
from sam2lora.utils.download import (
    DownloadProgress,
    cache_folder,
    check_file,
    download,
    ignore_progress,
    is_offline,
    rejected_path,
)
from sam2lora.utils.hash_cache import cache_hash, cached_hash

_SERVER = "https://dl.fbaipublicfiles.com/segment_anything_2/092824/"
_META = "Apache-2.0, Meta"

WEIGHTS_NOTICE = (
    "Trained weights that come with this package are for research: several of the datasets they "
    "were trained on allow nothing else. No model here is a medical device."
)


@dataclass(frozen=True)
class BaseModel:
    """A pretrained network that adapters are trained for.

    Attributes
    ----------
    name
        Name of the model.
    parameters
        Number of weights in the parts that images need.
    input_size
        Side of its square input, in pixels.
    width, depth
        Channels after the first layer and number of blocks of the encoder; no two models share
        both, so a file is recognized by them.
    license
        License of the weights.
    channels
        Channels of the image embedding.
    config
        Configuration file in the sam2 package; None for the model of this package.
    url, sha256, size
        Address of the weights, their checksum, and their size in bytes if known; None if they come
        with the package.
    """

    name: str
    parameters: int
    input_size: int
    width: int
    depth: int
    license: str
    channels: int = 256
    config: str | None = None
    url: str | None = None
    sha256: str | None = None
    size: int | None = None

    @property
    def path(self) -> Path:
        """Path of the weights, once downloaded."""
        if self.url is None:
            return Path(str(resources.files("sam2lora"))) / "assets" / f"{self.name}.safetensors"
        return cache_folder() / self.url.rsplit("/", 1)[-1]

    @property
    def embedding_bytes(self) -> int:
        """Size of the embedding of one window in float32, in bytes."""
        side = self.input_size // 16
        return 4 * 4 * self.channels * side**2

    @property
    def embedded(self) -> bool:
        """Whether the model needs no download."""
        return self.url is None


BASE_MODELS: Mapping[str, BaseModel] = MappingProxyType(
    {
        base.name: base
        for base in (
            BaseModel(
                name="nano",
                parameters=3_199_249,
                input_size=512,
                width=32,
                depth=9,
                license="research use",
                channels=128,
            ),
            BaseModel(
                name="tiny",
                parameters=31_440_721,
                input_size=1024,
                width=96,
                depth=12,
                license=_META,
                config="configs/sam2.1/sam2.1_hiera_t.yaml",
                url=_SERVER + "sam2.1_hiera_tiny.pt",
                sha256="7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69",
                size=156_008_466,
            ),
            BaseModel(
                name="small",
                parameters=38_538_577,
                input_size=1024,
                width=96,
                depth=16,
                license=_META,
                config="configs/sam2.1/sam2.1_hiera_s.yaml",
                url=_SERVER + "sam2.1_hiera_small.pt",
                sha256="6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38",
            ),
            BaseModel(
                name="base_plus",
                parameters=73_328_401,
                input_size=1024,
                width=112,
                depth=24,
                license=_META,
                config="configs/sam2.1/sam2.1_hiera_b+.yaml",
                url=_SERVER + "sam2.1_hiera_base_plus.pt",
                sha256="a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5",
            ),
            BaseModel(
                name="large",
                parameters=216_924_865,
                input_size=1024,
                width=144,
                depth=48,
                license=_META,
                config="configs/sam2.1/sam2.1_hiera_l.yaml",
                url=_SERVER + "sam2.1_hiera_large.pt",
                sha256="2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318",
            ),
        )
    }
)
"""The base models, smallest first."""


def get_base(name: str) -> BaseModel:
    """Return the base model called `name`.

    Raises
    ------
    ModelError
        If there is none; the message lists the known ones.
    """
    if name not in BASE_MODELS:
        raise ModelError(
            f"No base model is called {name!r}. There are: {', '.join(BASE_MODELS)}, or the path "
            "of a file with weights (.pt, .safetensors)."
        )
    return BASE_MODELS[name]


def fetch_base(
    base: BaseModel, *, progress: DownloadProgress = ignore_progress, offline: bool | None = None
) -> Path:
    """Return the verified file of a downloadable base model, after downloading it if needed.

    An existing file is compared with its checksum once, and again when it has changed.

    Raises
    ------
    ModelError
        If the file is wrong (it is then moved aside), cannot be downloaded, or is missing while
        `offline` (by default as `SAM2LORA_OFFLINE` says).
    OutputError
        If the file cannot be written.
    """
    url, sha256 = _source(base)
    path = base.path
    if path.exists():
        verify_base(base)
    elif is_offline() if offline is None else offline:
        raise ModelError(
            f"The weights of {base.name!r} are not on this computer, and downloads are off "
            f"(SAM2LORA_OFFLINE). Download {url} elsewhere and put it at {path} (SHA-256 "
            f"{sha256}), or name a weights file with --model."
        )
    else:
        download(url, path, sha256=sha256, size=base.size, progress=progress)
    return path


def verify_base(base: BaseModel, *, again: bool = False) -> None:
    """Verify that the downloaded file of a base model is the published one.

    Parameters
    ----------
    base
        A downloadable model whose file exists.
    again
        Read the file even if it was verified before and has not changed since.

    Raises
    ------
    ModelError
        If it is another file; it is moved to `<file>.rejected`.
    """
    _, sha256 = _source(base)
    if again or cached_hash(base.path, "sha256") != sha256:
        check_file(base.path, sha256=sha256, size=base.size, aside=rejected_path(base.path))
        cache_hash(base.path, "sha256", sha256)


def _source(base: BaseModel) -> tuple[str, str]:
    """Return the address and the checksum of a downloadable model."""
    if base.url is None or base.sha256 is None:
        raise ModelError(f"The model {base.name!r} comes with the package; nothing to download.")
    return base.url, base.sha256
