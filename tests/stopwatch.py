"""Whether work stays small on input that is made to be slow."""

import time
from collections.abc import Callable


def seconds(function: Callable, *arguments: object) -> float:
    """Processor time of one call: other programs do not count. Linear work on 20,000 characters takes 0.1 s at most,
    quadratic work 5 s and more."""
    start = time.process_time()
    function(*arguments)
    return time.process_time() - start
