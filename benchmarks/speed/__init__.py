"""Speed and memory as ratios against peers, both measured in one run.

Each benchmark has sides: this project's implementation and its peer. Every side runs in its own
process, so that memory and settings of one do not affect the other, and they take turns. Nothing is
imported here, so that the benchmarks can be listed without torch.
"""
