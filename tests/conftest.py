import os
import signal

# Where the tests run in the background of a shell, Ctrl-C is ignored there, and in every process that
# they start. Those that press it need it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers():
    """Two workers a processor: most tests wait for a Space, which leaves the processor idle."""
    return 2 * (os.cpu_count() or 1)
