import os
import signal

from hypothesis import HealthCheck, settings

# Where the tests run in the background of a shell, Ctrl-C is ignored there, and in every process that
# they start. Those that press it need it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How hard hypothesis searches: `HYPOTHESIS_PROFILE=thorough` is for a long search. How long an example
# takes is left to the machine, and each run tries the same ones.
untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", untimed, derandomize=True)
settings.register_profile("thorough", untimed, derandomize=False, max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def pytest_xdist_auto_num_workers():
    """Two workers a processor: most tests wait for a Space, which leaves the processor idle."""
    return 2 * (os.cpu_count() or 1)
