"""The two protocols follow the conventions of the literature and of the paper."""

from sam2lora.evaluation import PROTOCOLS
from sam2lora.targets import TARGETS


def test_default_protocol_is_that_of_the_literature() -> None:
    literature = next(iter(PROTOCOLS.values()))
    assert literature is PROTOCOLS["literature"]
    assert (literature.size, literature.grader, literature.threshold) == (None, 1, None)
    assert literature.uses_field_of_view
    field_only = {name: literature.scores_field_only(target) for name, target in TARGETS.items()}
    assert field_only == {"vessel": True, "disc": False, "cup": False}


def test_paper_protocol_conventions() -> None:
    paper = PROTOCOLS["paper"]
    assert (paper.size, paper.grader, paper.threshold) == (1024, "union", 0.5)
    assert not paper.uses_field_of_view
    assert not any(paper.scores_field_only(target) for target in TARGETS.values())
