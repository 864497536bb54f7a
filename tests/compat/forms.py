"""The forms of a Space that are tried: which Gradio release, with which chatbot.

Read by the tests and, in another environment, by the servers, so it imports nothing.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Form:
    """A Gradio release and the kind of chatbot that its layouts are built with."""

    release: str
    chatbot: str
    """`modelscope`, `tuples` or `messages`."""

    @property
    def name(self) -> str:
        """What the form is called on the command line and in the names of tests."""
        return f"{self.release}-{self.chatbot}"

    @property
    def layouts(self) -> tuple[str, ...]:
        """The layouts that a server of this form carries."""
        return tuple(name for name, since in LAYOUTS.items() if self.version >= since)

    def carries(self, app: str) -> bool:
        """Whether a server of this form has an app; modelscope_studio's are for messages only."""
        if app.startswith("studio-"):
            return self.version >= (5,) and self.chatbot == "messages"
        return self.version >= {**LAYOUTS, **SHAPES_SINCE}.get(app, (4,))

    @property
    def version(self) -> tuple[int, ...]:
        """The release as numbers that compare."""
        return tuple(int(part) for part in self.release.split("."))


FORMS = (
    Form("4.44.1", "modelscope"),
    Form("4.44.1", "tuples"),
    Form("4.44.1", "messages"),
    Form("5.50.0", "tuples"),
    Form("5.50.0", "messages"),
    Form("6.31.0", "messages"),
)
RELEASES = tuple(sorted({form.release for form in FORMS}))

LAYOUTS = {
    "qwen25": (4,),
    "coder": (4,),
    "older": (4,),
    "renamed": (4,),
    "several": (4,),
    "boxes": (4,),
    "no_system": (4,),
    "plain_function": (4,),
    "reasoning_tags": (6,),
    "ambiguous_endpoints": (4,),
    "ambiguous_inputs": (4,),
    "not_a_chat": (4,),
    "chat_interface": (4,),
    "chat_interface_plain": (4,),
    "chat_interface_multimodal": (4,),
    "busy": (4,),
    "validated": (5, 45),
    "login": (4,),
    "hidden_errors": (4,),
}
"""Each layout with the first release that can carry it."""

SHAPES_SINCE = {"shape-loaded_by_name": (5,)}
"""The first release of the apps in `shapes` that not every release can carry."""

REDEPLOYED = "redeployed"
"""A path at which one layout takes another's place, as when an owner changes a Space."""

REDEPLOYMENTS = ("qwen25", "renamed")
"""The layouts that can be there; the first is, until `POST /redeploy?layout=…` says otherwise."""

CREDENTIALS = ("user", "pass")
"""What the layout `login` asks for."""
