"""What a local Space does, met from outside."""
