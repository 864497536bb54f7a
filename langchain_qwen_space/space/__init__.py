"""What a Gradio Space speaks. Knows neither LangChain nor Qwen."""
