"""What a Gradio Space speaks over HTTP: requests, connections, sessions, server-sent events."""
