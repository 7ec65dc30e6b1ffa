"""Speed and memory as ratios against peers, both measured in one run.

Each question has sides: this project's way and its peer's. Every side runs in a process of its own,
so that neither one's memory nor its settings help or hinder the other, and they take turns. Nothing
is imported here, so that the questions can be listed without torch.
"""
