"""Measure an epoch of quick adapt on kept features beside encoding every time.

    OMP_NUM_THREADS=2 python benchmarks/speed_quick_adapt.py --base tiny --rounds 5 --json OUT

The options are those of `sam2lora benchmark quick-adapt`, which this is.
"""

import sys

from sam2lora.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["benchmark", "quick-adapt"]
    main()
