"""A Gradio app's page as one visitor has it: `/config`, components and their values, events."""
