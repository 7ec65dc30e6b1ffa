"""Data sets: recognised by their folders, listed as records, split by patient, checked.

`DATASETS` is the table of layouts, `ENCODINGS` that of the ways masks are written; a new data set
is one entry.
"""

from sam2lora.datasets.check import DatasetReport, Problem, check_dataset
from sam2lora.datasets.mask_encodings import ENCODINGS, MaskFile
from sam2lora.datasets.recognition import (
    RecognizedFolder,
    list_images,
    read_dataset,
    recognize,
    record_of,
)
from sam2lora.datasets.records import Dataset, Record
from sam2lora.datasets.registry import DATASETS
from sam2lora.datasets.splits import filter_by_stem, official_split, split_by_patient

__all__ = [
    "DATASETS",
    "ENCODINGS",
    "Dataset",
    "DatasetReport",
    "MaskFile",
    "Problem",
    "RecognizedFolder",
    "Record",
    "check_dataset",
    "filter_by_stem",
    "list_images",
    "official_split",
    "read_dataset",
    "recognize",
    "record_of",
    "split_by_patient",
]
