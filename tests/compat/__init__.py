"""The package against real Gradio servers of several releases.

`forms` says which releases and layouts there are, `environments` makes an environment a release
under `.compat/`, `servers` starts one process a form (`app`, which carries every layout of
`layouts` under a path of its own), and `script` is what these Spaces answer.

A server by hand, from `tests/`, which ends with its input:
`../.compat/gradio-6.31.0/bin/python -m compat.app 6.31.0-messages 7860`.
"""
