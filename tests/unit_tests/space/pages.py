"""Small `/config` documents, as Gradio writes them, for the layouts that people give a Space."""

from typing import Any

SYSTEM = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."


class Page:
    """A page that is put together by hand; components and functions get their numbers in order."""

    def __init__(self, version: str = "5.50.0", **more: Any) -> None:
        self.config: dict[str, Any] = {
            "version": version,
            "protocol": "sse_v3",
            "api_prefix": "/gradio_api",
            "components": [],
            "dependencies": [],
            **more,
        }

    def add(self, kind: str, label: str | None = None, value: Any = None, **props: Any) -> int:
        """A component; returns its id."""
        if kind in ("radio", "dropdown"):
            props["choices"] = [[choice, choice] for choice in props.get("choices", [])]
        number = len(self.config["components"])
        props = {"visible": True, "label": label, "value": value, **props}
        self.config["components"].append({"id": number, "type": kind, "props": props})
        return number

    def call(
        self,
        name: str | None,
        inputs: list[int],
        outputs: list[int],
        *,
        on: tuple[int | None, str] = (None, "click"),
        generator: bool = True,
        **more: Any,
    ) -> int:
        """A function of the app; returns its number."""
        number = len(self.config["dependencies"])
        function = {
            "id": number,
            "api_name": name or False,
            "inputs": inputs,
            "outputs": outputs,
            "targets": [list(on)],
            "backend_fn": True,
            "queue": True,
            "types": {"generator": generator, "cancel": False},
            **more,
        }
        self.config["dependencies"].append(function)
        return number


def coder_demo() -> Page:
    """The demo of Qwen2.5-Coder, whose model radio is no input."""
    page = Page("4.44.1", api_prefix="")
    page.add("radio", "Qwen2.5-Coder：", "32B", choices=["0.5B", "7B", "32B"])
    shown = page.add("textbox", "System", SYSTEM)
    system = page.add("textbox", None, SYSTEM, visible=False)
    temperature = page.add("slider", "Temperature", 0.7, minimum=0, maximum=1, step=0.1)
    top_p = page.add("slider", "Top P", 0.8, minimum=0.6, maximum=1, step=0.05)
    length = page.add("slider", "Max Length", 4096, minimum=512, maximum=8192, step=1)
    chatbot = page.add("chatbot", "Qwen2.5-Coder", [], type="tuples")
    query = page.add("textbox", "Input")
    inputs = [query, chatbot, system, temperature, top_p, length]
    page.call("model_chat", inputs, [query, chatbot, shown], on=(query, "submit"))
    page.call("clear", [], [query, chatbot], generator=False)
    page.call("modify", [shown], [system, shown, chatbot], generator=False)
    return page


def older_demo() -> Page:
    """The Spaces before Qwen2.5: query, history and a system prompt that is seen."""
    page = Page("4.36.0", api_prefix="", protocol="sse_v2.1")
    system = page.add("textbox", "System", SYSTEM)
    chatbot = page.add("chatbot", "Qwen2-72B-Instruct", [])
    query = page.add("textbox", "Input")
    page.call("clear", [], [query, chatbot], generator=False)
    inputs = [query, chatbot, system]
    page.call("model_chat", inputs, inputs, on=(query, "submit"))
    return page


def renamed() -> Page:
    """A duplicate: another name, a dropdown of models, everything in another order."""
    page = Page("6.31.0")
    names = ["Qwen2.5-72B-Instruct", "Qwen2.5-7B-Instruct"]
    model = page.add("dropdown", "Model", names[1], choices=names)
    system = page.add("textbox", "System prompt", "Be brief.")
    chatbot = page.add("chatbot", "Conversation", [])
    query = page.add("textbox", "Message")
    page.call("respond", [system, model, chatbot, query], [chatbot, query])
    return page


def several() -> Page:
    """A Space that also translates and completes; the chat is the last of its functions."""
    page = Page()
    source, target = page.add("textbox", "Source text"), page.add("textbox", "Translation")
    language = page.add("dropdown", "Target language", "English", choices=["English", "中文"])
    page.call("translate", [source, language], [target], on=(source, "submit"))
    prompt = page.add("textbox", "Prompt")
    page.call("complete", [prompt], [prompt], on=(prompt, "submit"))
    chatbot = page.add("chatbot", "Chat", [], type="messages")
    box = page.add("textbox", "Instructions for it", SYSTEM)
    query = page.add("textbox", "Input")
    page.call("clear", [], [chatbot], generator=False)
    page.call("retry", [chatbot, query], [chatbot], generator=False)
    page.call("chat", [query, chatbot, box], [query, chatbot], on=(query, "submit"))
    return page


def two_chats() -> Page:
    """Two chats side by side that nothing but their names tell apart."""
    page = Page()
    for side in ("left", "right"):
        chatbot = page.add("chatbot", f"The {side} one", [], type="messages")
        name = page.add("textbox", None, side, visible=False)
        query = page.add("textbox", "Input")
        page.call(f"chat_{side}", [query, chatbot, name], [query, chatbot], on=(query, "submit"))
    return page


def chat_interface(version: str, *, extras: bool = True, multimodal: bool = False) -> Page:
    """`gr.ChatInterface`, of which only the parts that matter are kept."""
    page = Page(version)
    old, new = version < "5", version >= "6"
    kind = {} if new else {"type": "tuples" if old else "messages"}
    chatbot = page.add("chatbot", "Chatbot", [], **kind)
    box = "multimodaltextbox" if multimodal else "textbox"
    query = page.add(box, "Message" if old else "", {"text": "", "files": []} if multimodal else "")
    reply = page.add("textbox" if old else "json", "Response", visible=False)
    saved, state = page.add("state"), page.add("state")
    others = []
    if extras:
        others = [
            page.add("textbox", "System prompt", SYSTEM),
            page.add("slider", "Temperature", 0.7, minimum=0, maximum=2, step=0.1),
            page.add("slider", "Max tokens", 512, minimum=1, maximum=4096, step=1),
            page.add("textbox", "Nickname", "Q"),
        ]
    shown = {"api_visibility": "public"} if new else {"show_api": True}
    hidden = {"api_visibility": "undocumented"} if new else {"show_api": False}
    save = {"generator": False, "queue": False, **hidden}
    page.call("_clear_and_save_textbox", [query], [query, saved], on=(query, "submit"), **save)
    if old:
        page.call("_stream_fn", [saved, chatbot, *others], [chatbot], on=(None, "then"), **hidden)
        name = "chat"
    else:
        page.call("_submit_fn", [saved, state, *others], [saved, chatbot], **hidden)
        page.call("lambda", [chatbot], [state, saved], on=(None, "then"), **save)
        name = "respond" if new else "chat"
    page.call(name, [query, state, *others], [reply, state], **shown)
    return page


def not_a_chat() -> Page:
    """An app that draws and translates."""
    page = Page()
    prompt, picture = page.add("textbox", "Prompt"), page.add("image", "Picture")
    page.call("draw", [prompt], [picture], on=(prompt, "submit"), generator=False)
    source, target = page.add("textbox", "Source text"), page.add("textbox", "Translation")
    page.call("translate", [source], [target], on=(source, "submit"))
    return page
