"""Datasets: recognised by their folders, listed as records, split by patient, checked.

`DATASETS` is the table of layouts, `ENCODINGS` that of mask file formats; a new dataset is one
entry.
"""

from sam2lora.datasets.check import DatasetReport, Problem, check_dataset
from sam2lora.datasets.label_maps import parse_labels
from sam2lora.datasets.mask_encodings import ENCODINGS, MaskFile
from sam2lora.datasets.recognition import (
    RecognizedFolder,
    find_record,
    list_images,
    read_dataset,
    recognize,
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
    "find_record",
    "list_images",
    "official_split",
    "parse_labels",
    "read_dataset",
    "recognize",
    "split_by_patient",
]
