"""`python -m tests.system.skewed SECONDS`: the image service on a machine whose clock is wrong by so much."""

import sys
import time

true_time = time.time
skew_s = float(sys.argv[1])
time.time = lambda: true_time() + skew_s

from image_generation_service import main  # noqa: E402 - all of it shall see the wrong clock

sys.exit(main([]))
