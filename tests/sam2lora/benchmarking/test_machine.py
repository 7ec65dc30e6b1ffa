"""What is said of the machine."""

import json
import platform

from sam2lora.benchmarking.machine import describe_machine


def test_it_has_what_numbers_depend_on_and_no_name():
    said = describe_machine()
    assert said["processor"]
    assert said["versions"]["torch"]
    assert platform.node() not in json.dumps(said) or not platform.node()
