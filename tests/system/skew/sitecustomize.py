"""Read by every Python program whose PYTHONPATH names this folder: its clock is wrong by SKEW_S seconds."""

import os
import time

true_time = time.time
skew_s = float(os.environ["SKEW_S"])
time.time = lambda: true_time() + skew_s
