import signal

# Where the tests run in the background of a shell, Ctrl-C is ignored there, and in every process that
# they start. Those that press it need it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
