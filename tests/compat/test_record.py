"""The recorder gets from a running server what was recorded of its release."""

import json
from pathlib import Path

import pytest

from langchain_qwen_space import ChatQwenSpace
from tests import record, replay

from .forms import FORMS
from .marks import for_each

LONG = ("slow", "long")  # 17 seconds of silence; 800 events
ANOTHER_SCRIPT = ("plain",)  # the server that was recorded knew an answer to "hi"


@for_each(["qwen25"], [form for form in FORMS if form.name != "4.44.1-messages"])
async def test_a_recording_has_the_replies_of_the_one_it_is_like(
    server, form, layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = {"modelscope": "modelscope-chatbot"}.get(form.chatbot, f"chatbot-{form.chatbot}")
    like = record.WIRE / f"gradio-{form.release}-{name}"
    cases = [
        path.stem
        for path in (like / "cases").glob("*.json")
        if path.stem not in (*record.SPECIAL, *LONG, *ANOTHER_SCRIPT)
    ]
    made = await record.record(server.base_url(layout), tmp_path / "new", like, cases)

    assert sorted(made) == sorted(cases)
    monkeypatch.setattr(replay, "WIRE", tmp_path)
    for case in cases:
        old = json.loads((like / "cases" / f"{case}.json").read_bytes())
        new = replay.load("new", case)
        assert new.reply == old["reply"], case
        assert new.record.keys() == old.keys(), case
        if "cancel" in old:
            assert new.record["cancel"]["body"] == old["cancel"]["body"]
    async with replay.replay("new", "indented") as space:
        model = ChatQwenSpace(space=space.url, max_retries=0, timeout=5)
        assert (await model.ainvoke("anything")).content == replay.load("new", "indented").reply
