"""The two protocols say what the papers say."""

from sam2lora.evaluation import PROTOCOLS
from sam2lora.targets import TARGETS


def test_the_default_is_native_inside_the_field_by_grader_1_at_the_adapters_threshold() -> None:
    literature = next(iter(PROTOCOLS.values()))
    assert literature is PROTOCOLS["literature"]
    assert (literature.size, literature.grader, literature.threshold) == (None, 1, None)
    assert literature.knows_field
    judged = {name: literature.judges_only_field(target) for name, target in TARGETS.items()}
    assert judged == {"vessel": True, "disc": False, "cup": False}


def test_the_papers_is_1024_squared_whole_by_any_grader_at_half() -> None:
    paper = PROTOCOLS["paper"]
    assert (paper.size, paper.grader, paper.threshold) == (1024, "union", 0.5)
    assert not paper.knows_field
    assert not any(paper.judges_only_field(target) for target in TARGETS.values())
