"""What graders did, as far as it may be seen: masks of an image once all are done with it.

This is the only way to the masks of others. An image stays sealed until every grader has set it to
`done`; flagged and skipped ones stay sealed too, since their grader may come back to them. Setting
it to another state again seals it again.
"""

from collections.abc import Sequence

from sam2lora.annotations.points import PointAnnotation
from sam2lora.errors import SealedError, SessionError
from sam2lora.grading.grades import UNTOUCHED, ImageGrade
from sam2lora.grading.participants import checked_name, corrections_in, read_grades
from sam2lora.grading.session import GRADERS, LOG, GradingSession
from sam2lora.images.decoding import read_shape
from sam2lora.targets import all_targets
from sam2lora.types import Mask
from sam2lora.utils.files import read_error


class Review:
    """The work of some graders at one moment; create a new one to see what changed since.

    Whether an image is sealed is looked up again before its masks and points are read.

    Parameters
    ----------
    session
        The session.
    graders
        Whose work it is; empty for all graders of the session.
    viewer
        The grader who looks at it, and must be done with an image, too, also if nothing was graded
        under this name yet; None for an adjudicator, who need not.

    Attributes
    ----------
    session
        As given.
    graders
        The names, in the order given.
    grades
        What each of them and the viewer has said, by name and stem. States and times may be seen by
        anybody.
    unreadable
        By name, how many lines of a log cannot be read.

    Raises
    ------
    SessionError
        If one of them has no part in the session, nobody has, or a log cannot be read.
    """

    def __init__(
        self, session: GradingSession, graders: Sequence[str] = (), *, viewer: str | None = None
    ) -> None:
        known = session.graders()
        names = [checked_name(name, known) for name in graders] or list(known)
        for name in names:
            if name not in known:
                raise SessionError(
                    f"{session.folder}: {name} has not graded here. Graders: "
                    f"{', '.join(known) or 'none'}."
                )
        if not names:
            raise SessionError(f"{session.folder}: nobody has graded anything yet.")
        self.session = session
        self.graders = tuple(dict.fromkeys(names))
        self.grades: dict[str, dict[str, ImageGrade]] = {}
        self.unreadable: dict[str, int] = {}
        self._sizes: dict[str, int] = {}
        own = [checked_name(viewer, session.names(GRADERS))] if viewer else []
        self._viewers = tuple(dict.fromkeys((*self.graders, *own)))
        self._read_logs()
        self._stores = {
            name: corrections_in(session.folder / GRADERS / name, session) for name in self.graders
        }

    def grade(self, grader: str, stem: str) -> ImageGrade:
        """Return what a grader has said about an image."""
        return self.grades[grader].get(stem, UNTOUCHED)

    def sealed_by(self, stem: str) -> tuple[str, ...]:
        """Return who is not done with an image; empty if its masks may be seen."""
        return tuple(
            name for name in self._viewers if not self.grades[name].get(stem, UNTOUCHED).done
        )

    def open_stems(self) -> list[str]:
        """Return the images whose masks may be seen, in the order of the session."""
        return [one.stem for one in self.session.images if not self.sealed_by(one.stem)]

    def has_masks(self, grader: str, stem: str) -> bool:
        """Check whether a grader has a mask of an image."""
        return any(self._stores[grader].has(stem, target) for target in all_targets())

    def mask_hashes(self, stem: str, target: str) -> dict[str, str]:
        """Return by grader the SHA-256 of the file of a mask; empty for a grader without one.

        Raises
        ------
        ImageError
            If a mask cannot be read.
        """
        return {name: store.mask_hash(stem, target) for name, store in self._stores.items()}

    def unknown_masks(self) -> dict[str, str]:
        """Return by stem what is not read, of images whose masks may be seen.

        A grader may have drawn targets of their own that this computer does not know.
        """
        stems = self.open_stems()
        found: dict[str, list[str]] = {}
        for name, store in self._stores.items():
            for stem, targets in store.unknown_targets(stems).items():
                found.setdefault(stem, []).append(f"{name}'s {', '.join(targets)}")
        return {
            stem: f"not read: {'; '.join(found[stem])}. This computer does not know these targets; "
            "define them as the grader's does."
            for stem in stems
            if stem in found
        }

    def shape(self, stem: str) -> tuple[int, int]:
        """Return height and width of an image.

        Raises
        ------
        ImageError
            If its file is missing, was replaced, or cannot be read.
        """
        return read_shape(self.session.found_path(stem))

    def masks(self, stem: str) -> dict[str, dict[str, Mask]]:
        """Read the masks of an image: `(H, W)` bool by grader and target.

        Raises
        ------
        SealedError
            If somebody is not done with it.
        SessionError
            If a log can no longer be read.
        ImageError
            If the image or a mask cannot be read.
        """
        self.check_open(stem)
        shape = self.shape(stem)
        return {name: store.masks(stem, shape) for name, store in self._stores.items()}

    def points(self, stem: str) -> dict[str, dict[str, PointAnnotation]]:
        """Read the points of an image, by grader and target.

        Raises
        ------
        SealedError
            If somebody is not done with it.
        SessionError
            If a log can no longer be read.
        ImageError
            If a point cannot be read.
        """
        self.check_open(stem)
        return {name: store.points(stem) for name, store in self._stores.items()}

    def check_open(self, stem: str) -> None:
        """Check that the masks of an image may be seen, by the logs as they are now.

        Raises
        ------
        SealedError
            If somebody is not done with it.
        SessionError
            If a log can no longer be read.
        """
        self._read_logs()
        waiting = self.sealed_by(stem)
        if waiting:
            raise SealedError(
                f"{stem}: its masks cannot be seen before all graders are done with it. Not done: "
                f"{', '.join(waiting)}."
            )

    def _read_logs(self) -> None:
        """Read the logs that have become longer; nothing is ever changed in one."""
        for name in self._viewers:
            log = self.session.folder / GRADERS / name / LOG
            try:
                size = log.stat().st_size
            except OSError as error:
                if name in self.graders or not isinstance(error, FileNotFoundError):
                    raise SessionError(str(read_error(log, error))) from error
                size = 0  # who looks has graded nothing yet
            if size != self._sizes.get(name):
                self.grades[name], self.unreadable[name] = read_grades(self.session, name)
                self._sizes[name] = size
