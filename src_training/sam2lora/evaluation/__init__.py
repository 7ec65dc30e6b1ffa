"""Evaluation: how good a network is, by protocols that say what their numbers mean.

`evaluate` judges image by image, on data sets or on what a viewer holds; `write_report` judges
several on several data sets and writes tables, masks and pictures; `write_comparison` compares two
reports; `write_cup_disc` puts one on the disc and one on the cup together. Nothing here loads
torch; who has a predictor has it already.
"""

from sam2lora.evaluation.cases import Case
from sam2lora.evaluation.data_selection import Part, plan_parts
from sam2lora.evaluation.loop import evaluate, evaluate_grader
from sam2lora.evaluation.protocols import PROTOCOLS, Protocol
from sam2lora.evaluation.report.candidates import Contestant, grader_contestant, network_contestant
from sam2lora.evaluation.report.comparison import Comparison, Side, compare
from sam2lora.evaluation.report.comparison_writer import write_comparison
from sam2lora.evaluation.report.cup_disc_ratio import RatioEntry, cup_disc_ratios, write_cup_disc
from sam2lora.evaluation.report.schema import Report, read_report
from sam2lora.evaluation.report.writer import write_report
from sam2lora.evaluation.scoring import Result
from sam2lora.evaluation.settings import EvaluateSettings, parse_regimes

__all__ = [
    "PROTOCOLS",
    "Case",
    "Comparison",
    "Contestant",
    "EvaluateSettings",
    "Part",
    "Protocol",
    "RatioEntry",
    "Report",
    "Result",
    "Side",
    "compare",
    "cup_disc_ratios",
    "evaluate",
    "evaluate_grader",
    "grader_contestant",
    "network_contestant",
    "parse_regimes",
    "plan_parts",
    "read_report",
    "write_comparison",
    "write_cup_disc",
    "write_report",
]
