"""Evaluation of segmentation models, by protocols that define what the scores mean.

`evaluate` scores image by image, on datasets or on arrays from a viewer; `write_report` scores
several models on several datasets and writes tables, masks and pictures; `write_comparison`
compares two reports; `write_cup_disc` computes cup/disc ratios from a report on each. Nothing here
imports torch: only a predictor needs it, and its caller has imported it already.
"""

from sam2lora.evaluation.cases import Case
from sam2lora.evaluation.data_selection import EvaluationPart, plan_parts
from sam2lora.evaluation.loop import evaluate, evaluate_grader
from sam2lora.evaluation.protocols import PROTOCOLS, Protocol
from sam2lora.evaluation.report.candidates import Candidate, grader_candidate, network_candidate
from sam2lora.evaluation.report.comparison import ReportComparison, Side, make_comparison
from sam2lora.evaluation.report.comparison_writer import write_comparison
from sam2lora.evaluation.report.cup_disc_ratio import RatioEntry, cup_disc_ratios, write_cup_disc
from sam2lora.evaluation.report.schema import Report, read_report
from sam2lora.evaluation.report.writer import write_report
from sam2lora.evaluation.scoring import ImageResult
from sam2lora.evaluation.settings import EvaluateSettings, parse_regimes

__all__ = [
    "PROTOCOLS",
    "Candidate",
    "Case",
    "EvaluateSettings",
    "EvaluationPart",
    "ImageResult",
    "Protocol",
    "RatioEntry",
    "Report",
    "ReportComparison",
    "Side",
    "cup_disc_ratios",
    "evaluate",
    "evaluate_grader",
    "grader_candidate",
    "make_comparison",
    "network_candidate",
    "parse_regimes",
    "plan_parts",
    "read_report",
    "write_comparison",
    "write_cup_disc",
    "write_report",
]
