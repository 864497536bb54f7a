"""A whole small service: an agent with tools and a memory, behind a page that streams."""
