"""For all tests: Ctrl-C reaches the programs that they start."""

import signal

# Whoever starts the tests in the background (nohup, a runner of a continuous integration) lets them ignore Ctrl-C,
# every program that a test starts inherits that, and bash can never undo it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
