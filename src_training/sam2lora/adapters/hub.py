"""Share adapters over the Hugging Face Hub.

The account is the one `hf auth login` keeps; nothing here asks for or stores a token.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sam2lora.adapters.folder import FILES, Adapter, open_adapter
from sam2lora.adapters.store import install_adapter
from sam2lora.errors import AdapterError


def push_adapter(adapter: Adapter, repository: str, *, private: bool = True) -> str:
    """Upload an adapter, making the repository if there is none.

    Parameters
    ----------
    adapter
        What to upload; only its own four files are.
    repository
        `owner/name` on the Hub.
    private
        Whether a new repository is visible to its owner only.

    Returns
    -------
    The address of the upload.

    Raises
    ------
    AdapterError
        If the adapter is damaged, or the Hub refuses or cannot be reached.
    """
    import huggingface_hub

    sound = open_adapter(adapter.folder)
    with _hub_errors(repository):
        huggingface_hub.create_repo(repository, private=private, exist_ok=True)
        done = huggingface_hub.upload_folder(
            repo_id=repository,
            folder_path=sound.folder,
            allow_patterns=list(FILES),
            commit_message=f"Upload the adapter {adapter.name}",
        )
    return str(done)


def pull_adapter(
    repository: str,
    *,
    revision: str | None = None,
    name: str | None = None,
    replace: bool = False,
) -> Adapter:
    """Download an adapter, check it as any other, and install it.

    Parameters
    ----------
    repository
        `owner/name` on the Hub.
    revision
        A branch, tag or commit; by default the newest. A commit cannot change under you.
    name
        What to call it; by default what its card says.
    replace
        Whether one of the user's own of that name may be replaced.

    Raises
    ------
    AdapterError
        If the Hub refuses or cannot be reached, the repository holds no adapter, or the name is
        taken. Nothing is installed then.
    OutputError
        If it cannot be written.
    """
    import huggingface_hub

    with _hub_errors(repository):
        folder = huggingface_hub.snapshot_download(
            repository, revision=revision, allow_patterns=list(FILES)
        )
    return install_adapter(open_adapter(Path(str(folder))), name=name, replace=replace)


@contextmanager
def _hub_errors(repository: str) -> Iterator[None]:
    """Say in words what failed; errors of HTTP and of the system come through too."""
    try:
        yield
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise AdapterError(
            f"{repository}: the Hugging Face Hub did not do it ({reason}). Check the name and the "
            "connection, and log in with: hf auth login"
        ) from error
