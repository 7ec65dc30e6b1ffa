"""Measure time and memory of a training step beside a plain loop of stock modules and PEFT.

    OMP_NUM_THREADS=2 python benchmarks/speed_train.py --base tiny --rounds 5 --json OUT

The options are those of `sam2lora benchmark train`, which this is.
"""

import sys

from sam2lora.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["benchmark", "train"]
    main()
