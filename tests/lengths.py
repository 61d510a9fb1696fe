"""How long slow tests are: short in the suite, whole by `make test-long`."""

import os


def length(short: int, whole: int) -> int:
    """How many of something a test tries."""
    return whole if os.environ.get("DIGITLAB_TEST_LONG") else short
