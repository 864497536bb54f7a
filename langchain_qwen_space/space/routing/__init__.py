"""From the id of a Space to an attempt at a call: host, login, waiting for a turn, retries."""
