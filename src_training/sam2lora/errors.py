"""The errors a user can cause; each message says what was found, where, and what to do.

The command line prints them without a traceback and exits with code 2; the viewer shows them as
notifications. Any other exception is a bug of this project.
"""


class Sam2LoraError(Exception):
    """Base class of errors caused by the input rather than by a bug."""


class ImageError(Sam2LoraError):
    """A file cannot be read as a fundus image or as a mask."""


class UnclearMaskError(ImageError):
    """A mask can be read, but not what it shows: a label map, or one of two masks of an image."""


class DatasetError(Sam2LoraError):
    """A folder or table is not a usable dataset."""


class SeveralDatasetsError(DatasetError):
    """A folder holds more than one dataset, so the one to use is ambiguous."""


class GeometryError(Sam2LoraError):
    """Coordinates, shapes or windows do not fit the image."""


class TargetError(Sam2LoraError):
    """A target is unknown or invalid."""


class SettingsError(Sam2LoraError):
    """A setting is unknown or out of range."""


class ModelError(Sam2LoraError):
    """A base model is unknown, missing, corrupt or does not fit."""


class DeviceError(Sam2LoraError):
    """A computing device or precision is unknown, missing, or out of memory."""


class AdapterError(Sam2LoraError):
    """An adapter is missing, corrupt, unsafe, or for another base model or target."""


class TrainingError(Sam2LoraError):
    """A training cannot continue: its loss is not finite, or there is nothing to learn from."""


class ReportError(Sam2LoraError):
    """A report of an evaluation is missing, damaged, or cannot be compared with another."""


class ClusterError(Sam2LoraError):
    """Workers on other processes or machines cannot be reached, do not fit, or were lost."""


class SessionError(Sam2LoraError):
    """A grading session, or what is asked of it, is missing, damaged or does not fit."""


class SealedError(SessionError):
    """A grader's work must not be seen yet, because not every grader is done with the image."""


class OutputError(Sam2LoraError):
    """A result cannot be written: no permission, no space, or the path is already in use."""
