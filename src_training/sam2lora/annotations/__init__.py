"""Masks of an image in formats of other programs: mask files, label map, COCO, VascX."""

from sam2lora.annotations.coco import coco_document, run_lengths, save_coco
from sam2lora.annotations.label_map import PRIORITY, save_label_map
from sam2lora.annotations.mask_files import save_mask, save_masks
from sam2lora.annotations.training_data import LabelledImage, save_training_data
from sam2lora.annotations.vascx import save_for_vascx

__all__ = [
    "PRIORITY",
    "LabelledImage",
    "coco_document",
    "run_lengths",
    "save_coco",
    "save_for_vascx",
    "save_label_map",
    "save_mask",
    "save_masks",
    "save_training_data",
]
