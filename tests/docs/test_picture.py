"""The README's picture shows a run, and the script that makes it works."""

import re
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from scripts import make_streaming_picture as maker
from tests.docs.snippets import ROOT

SVG = "{http://www.w3.org/2000/svg}"
MOST = 300_000  # bytes


def answer(picture: str) -> str:
    lines = ET.fromstring(picture).findall(f"{SVG}text[@class='answer']")
    return "\n".join("".join(line.itertext()) for line in lines)


def test_the_picture_of_the_readme_is_what_the_script_makes():
    picture = maker.PICTURE.read_text(encoding="utf-8")
    assert len(picture.encode()) < MOST
    assert answer(picture) == maker.ANSWER
    assert f"({maker.PICTURE.relative_to(ROOT)})" in (ROOT / "README.md").read_text("utf-8")


def test_a_recorded_run_waits_and_then_streams():
    recording = maker.record(pace=0.01)
    waits = [shown.text for shown in recording.progress if shown.text]
    assert waits[0].startswith("Waiting for the Space [")
    assert max(shown.seconds for shown in recording.progress) <= recording.answer[0].seconds
    assert "".join(shown.text for shown in recording.answer) == maker.ANSWER
    assert answer(maker.svg(recording)) == maker.ANSWER


def test_each_chunk_appears_at_its_time():
    recording = maker.Recording(
        progress=[maker.Shown(0.5, "wait"), maker.Shown(1, "")],
        answer=[maker.Shown(1, "a<b\n"), maker.Shown(3, "c")],
    )
    picture = maker.svg(recording)
    assert answer(picture) == "a<b\nc"
    steps = dict(re.findall(r"@keyframes (\w+)\{(.*?\})\}", picture))
    shown = {
        element.text: re.findall(r"([\d.]+)%\{visibility:visible", steps[style.partition(":")[2]])
        for element in ET.fromstring(picture).iter(f"{SVG}tspan")
        if (style := element.get("style"))
    }
    length = 3 + maker.REST
    assert {text: float(at) for text, (at,) in shown.items()} == pytest.approx(
        {"wait": 50 / length, "a<b": 100 / length, "c": 300 / length}, abs=0.01
    )


def test_the_script_writes_to_the_path_it_is_given(tmp_path: Path, monkeypatch, capsys):
    recording = maker.Recording([maker.Shown(0, "")], [maker.Shown(1, "hi")])
    monkeypatch.setattr(maker, "record", lambda: recording)
    monkeypatch.setattr(sys, "argv", ["make", "--to", str(tmp_path / "a.svg")])
    maker.main()
    assert answer((tmp_path / "a.svg").read_text()) == "hi"
    assert "a.svg" in capsys.readouterr().out
