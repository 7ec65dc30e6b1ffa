"""Ask a running training to pause or stop, by files that anyone may write."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from sam2lora.errors import OutputError
from sam2lora.utils.files import cannot_write

Request = Literal["pause", "stop"]
REQUESTS: tuple[Request, ...] = get_args(Request)


@dataclass(frozen=True)
class Control:
    """The requests to one run.

    A pause lasts as long as its file is there; whoever wants the training to go on deletes it. A
    run deletes the other one when it has stopped, and both when it starts: what was asked of an
    earlier process is not asked of this one. So ask when the run is alive.

    Attributes
    ----------
    folder
        `RUN/control`.
    """

    folder: Path

    @property
    def requested(self) -> frozenset[Request]:
        """What is asked for now."""
        return frozenset(what for what in REQUESTS if (self.folder / what).exists())

    def request(self, what: Request) -> None:
        """Ask for it.

        Raises
        ------
        OutputError
            If the run folder is gone or cannot be written.
        """
        try:
            self.folder.mkdir(exist_ok=True)
            (self.folder / what).touch()
        except OSError as error:
            raise cannot_write(self.folder / what, error) from error

    def clear(self, *what: Request) -> None:
        """Take back a request, or all of them if none is named.

        Raises
        ------
        OutputError
            If the file cannot be deleted.
        """
        for name in what or REQUESTS:
            path = self.folder / name
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise OutputError(
                    f"{path}: cannot be deleted ({error.strerror or error}). Delete it by hand."
                ) from error
