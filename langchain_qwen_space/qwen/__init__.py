"""What Qwen expects to read and writes back. Pure functions; knows no Gradio."""
