"""What of the local Space needs no server."""
