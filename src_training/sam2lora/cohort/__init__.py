"""Many eyes: a table with a row for each image, of masks on disk, or by `predictions` of new ones.

Without `predictions`, nothing here loads torch.
"""

from sam2lora.cohort.inputs import find_records
from sam2lora.cohort.record_row import COLUMNS
from sam2lora.cohort.run import TableResult, measure_records
from sam2lora.cohort.table import read_table, write_table

__all__ = [
    "COLUMNS",
    "TableResult",
    "find_records",
    "measure_records",
    "read_table",
    "write_table",
]
