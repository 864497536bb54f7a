"""A port for a server that is started later, or twice."""

import socket
from secrets import randbelow


def free_port() -> int:
    """A free port below those that systems give out by themselves, so that nobody takes it meanwhile."""
    while True:
        port = 20_000 + randbelow(12_000)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
