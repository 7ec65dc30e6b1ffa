"""Share adapters over the Hugging Face Hub.

The account is the one of `hf auth login`; nothing here asks for or stores a token.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sam2lora.adapters.folder import FILES, HEAD, Adapter, open_adapter
from sam2lora.adapters.store import install_adapter
from sam2lora.errors import AdapterError


def push_adapter(adapter: Adapter, repository: str, *, private: bool = True) -> str:
    """Upload an adapter; the repository is created if it does not exist.

    Parameters
    ----------
    adapter
        The adapter; only its own files are uploaded.
    repository
        `owner/name` on the Hub.
    private
        Whether a new repository is visible to its owner only.

    Returns
    -------
    The URL of the upload.

    Raises
    ------
    AdapterError
        If the adapter is damaged, or the Hub refuses or cannot be reached.
    """
    import huggingface_hub

    checked = open_adapter(adapter.folder)
    with _hub_errors(repository):
        huggingface_hub.create_repo(repository, private=private, exist_ok=True)
        upload = huggingface_hub.upload_folder(
            repo_id=repository,
            folder_path=checked.folder,
            allow_patterns=[*FILES, HEAD],
            delete_patterns=[HEAD],  # of an earlier version
            commit_message=f"Upload the adapter {adapter.name}",
        )
    return str(upload)


def pull_adapter(
    repository: str,
    *,
    revision: str | None = None,
    name: str | None = None,
    replace: bool = False,
) -> Adapter:
    """Download an adapter, check it like any other, and install it.

    Parameters
    ----------
    repository
        `owner/name` on the Hub.
    revision
        A branch, tag or commit; by default the newest. A commit cannot change under you.
    name
        Name to install it under; by default the name on its card.
    replace
        Whether an installed adapter of that name may be replaced; one of the package may not.

    Raises
    ------
    AdapterError
        If the Hub refuses or cannot be reached, the repository holds no adapter, or the name is
        taken. Nothing is installed then.
    OutputError
        If the adapter cannot be written.
    """
    import huggingface_hub

    with _hub_errors(repository):
        folder = huggingface_hub.snapshot_download(
            repository, revision=revision, allow_patterns=[*FILES, HEAD]
        )
    return install_adapter(open_adapter(Path(str(folder))), name=name, replace=replace)


@contextmanager
def _hub_errors(repository: str) -> Iterator[None]:
    """Turn any error of the Hub, of HTTP or of the system into an AdapterError."""
    try:
        yield
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise AdapterError(
            f"{repository}: the request to the Hugging Face Hub failed ({reason}). Check the name "
            "and the connection, and log in with: hf auth login"
        ) from error
