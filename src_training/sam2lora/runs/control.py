"""Request a running training to pause or stop, by files that anyone may write."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from sam2lora.errors import OutputError
from sam2lora.utils.files import write_error

Request = Literal["pause", "stop"]
REQUESTS: tuple[Request, ...] = get_args(Request)


@dataclass(frozen=True)
class Control:
    """The requests to one run.

    A pause lasts as long as its file exists; deleting it resumes the training. A run deletes the
    request to stop when it has stopped, and all requests when it starts, since those were for an
    earlier process. So request only while the run is alive.

    Attributes
    ----------
    folder
        The folder `RUN/control`.
    """

    folder: Path

    @property
    def requested(self) -> frozenset[Request]:
        """The current requests."""
        return frozenset(name for name in REQUESTS if (self.folder / name).exists())

    def request(self, name: Request) -> None:
        """Write the file of a request.

        Raises
        ------
        OutputError
            If the run folder is gone or cannot be written.
        """
        try:
            self.folder.mkdir(exist_ok=True)
            (self.folder / name).touch()
        except OSError as error:
            raise write_error(self.folder / name, error) from error

    def clear(self, *names: Request) -> None:
        """Withdraw requests, or all of them if none is named.

        Raises
        ------
        OutputError
            If a file cannot be deleted.
        """
        for name in names or REQUESTS:
            path = self.folder / name
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise OutputError(
                    f"{path}: cannot be deleted ({error.strerror or error}). Delete it by hand."
                ) from error
