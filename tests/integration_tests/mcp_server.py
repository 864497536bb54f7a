"""A server of the Model Context Protocol on standard input and output."""

from mcp.server.fastmcp import FastMCP

server = FastMCP("figures")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


if __name__ == "__main__":
    server.run(transport="stdio")
