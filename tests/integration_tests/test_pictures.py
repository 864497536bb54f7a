"""Files that go with messages, on real Gradio servers: the bytes that arrive are those that were sent."""

import asyncio
import json
import mimetypes
import os
import sys
import tracemalloc
from contextlib import asynccontextmanager, suppress
from io import BytesIO
from pathlib import Path

import aiohttp
import gradio
import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from PIL import Image
from typer.testing import CliRunner
from yarl import URL

from langchain_qwen_space import ChatQwenSpace, fetching, file_block
from langchain_qwen_space.cli.app import app
from langchain_qwen_space.errors import GenerationError, InvalidInputError, SpaceTimeoutError
from langchain_qwen_space.events import UploadEvent
from langchain_qwen_space.qwen import tokens
from langchain_qwen_space.space.wire.client import SpaceClient
from tests.compat.forms import FORMS
from tests.compat.servers import running
from tests.pictures import BLUE, RED, TWO_TURNS, image, reached, seen

pytestmark = pytest.mark.timeout(90, func_only=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    form = next(form for form in FORMS if form.name == "6.31.0-messages")
    directory = tmp_path_factory.mktemp("pictures")
    with running(form, directory, python=sys.executable, only="pictures") as server:
        yield server


@pytest.fixture
def model(server):
    def make(layout, **settings):
        return ChatQwenSpace(space=server.base_url(f"pictures-{layout}"), max_retries=0, **settings)

    return make


BOXES = ["box", "two_steps", "interface"]


@pytest.mark.parametrize("layout", [*BOXES, "beside"])
async def test_a_picture_reaches_the_app_byte_by_byte(model, layout):
    message = HumanMessage([{"type": "text", "text": "What is it?"}, image()])
    assert await reached(model(layout), message) == [("user", "What is it?", [seen(RED)])]


@pytest.mark.parametrize("layout", BOXES)
async def test_pictures_of_two_turns_arrive_each_in_its_own(model, layout):
    assert await reached(model(layout), *TWO_TURNS) == [
        ("user", "What is it?", [seen(RED)]),
        ("assistant", "Red.", []),
        ("user", "And this?", [seen(BLUE)]),
    ]


async def test_pictures_of_earlier_turns_go_with_the_question_where_the_app_keeps_no_turns(model):
    messages = [HumanMessage([image()]), AIMessage("Red."), HumanMessage([image(BLUE)])]
    ((role, text, files),) = await reached(model("asked_only", history="text"), *messages)
    assert (role, files) == ("user", [seen(RED), seen(BLUE)])
    assert "User (with the file file.png):" in text


async def test_a_picture_in_a_tools_result_goes_with_it(model):
    call = {"name": "look", "args": {}, "id": "1"}
    result = ToolMessage([{"type": "text", "text": "A photo."}, image()], tool_call_id="1")
    messages = [HumanMessage("Look."), AIMessage("", tool_calls=[call]), result]
    (_, _, (role, text, files)) = await reached(model("box"), *messages)
    assert (role, files) == ("user", [seen(RED)])
    assert "<tool_response>\nA photo.\n</tool_response>" in text


def test_a_sync_stream_takes_pictures_and_reports_how_far_they_are(model):
    events = []
    chat = model("box", on_event=events.append)
    text = "".join(chunk.text for chunk in chat.stream([HumanMessage([image()])]))
    assert json.loads(text)["messages"][0]["files"][0]["sha256"] == seen(RED)["sha256"]
    uploads = [event for event in events if isinstance(event, UploadEvent)]
    assert uploads[0] == UploadEvent("file.png", 0, len(RED))
    assert uploads[-1] == UploadEvent("file.png", len(RED), len(RED))
    assert events.index(uploads[-1]) == len(uploads) - 1  # before the queue


def drawn(kind, **options):
    """A picture of two colours, as Pillow writes it."""
    picture = Image.new("RGB", (96, 64), "crimson")
    picture.paste("navy", (0, 0, 40, 64))
    buffer = BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def shipped(name):
    """A recording or a film that comes with Gradio."""
    return Path(gradio.__file__).parent.joinpath("media_assets", name).read_bytes()


FILES = {
    "a.jpg": drawn("JPEG"),
    "a.png": drawn("PNG"),
    "a.webp": drawn("WEBP"),
    "a.gif": drawn("GIF", save_all=True, append_images=[Image.new("RGB", (96, 64))] * 3),
    "a.tiff": drawn("TIFF"),
    "a.avif": drawn("AVIF"),
    "a.pdf": drawn("PDF"),
    "a.wav": shipped("audio/recording1.wav"),
    "a.mp3": shipped("audio/cate_blanch.mp3"),
    "a.mp4": shipped("videos/a.mp4"),
    "a.avi": shipped("videos/b.avi"),
    "a.csv": shipped("data/time.csv"),
}


async def test_files_of_every_kind_arrive_together_and_in_order(model, tmp_path):
    blocks = []
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
        blocks.append(file_block(tmp_path / name))
    kinds = [mimetypes.guess_type(name)[0] for name in FILES]
    assert [block["mime_type"] for block in blocks] == kinds
    ((_, _, files),) = await reached(model("box"), HumanMessage(blocks))
    assert files == [seen(data) for data in FILES.values()]


@pytest.mark.parametrize(
    ("name", "arrives"),
    [
        ("снимок экрана.png", None),
        ("写真 1.png", None),
        ("صورة.png", None),
        ("שלום.png", None),
        ("ภาพ.png", None),
        ("Ünïcödé & co.png", None),
        ("e\u0301.png", None),  # a letter and an accent
        ("\u202egnp.exe.png", None),
        ("𝔘𝔫𝔦.PNG", None),
        (".hidden.png", None),
        ("a%2Fb.png", None),
        ("\N{CAMERA}\ufe0f.png", "file\N{CAMERA}\ufe0f.png"),
        ("写真.txt", "写真.txt.png"),  # a suffix of another kind
        ("../../etc/写真.png", "写真.png"),
        ("C:\\photos\\1.png", "1.png"),
        ("photos/", "file.png"),
        # as browsers escape it, less what Gradio takes out of names
        ('the "best" one.png', "the %22best%22 one.png"),
        ("two\r\nlines: x\n.png", "two%0D%0Alines x%0A.png"),
        ("a\0b.png", "ab.png"),
        ("half of a pair \ud83d.png", "half of a pair .png"),
        (f"{'long ' * 100}.png", f"{('long ' * 100)[:196]}.png"),  # Gradio keeps 200 bytes
        ("写" * 200 + ".png", "写" * 65 + ".png"),
    ],
    ids=range(22),
)
async def test_a_files_name_may_be_in_any_script(model, name, arrives):
    message = HumanMessage([image(extras={"filename": name})])
    answer = json.loads((await model("box").ainvoke([message])).text)
    (file,) = answer["messages"][0]["files"]
    assert file == {"name": arrives or name, **seen(RED)}


async def answered(model, how, message):
    """The answer of `ainvoke`, or what the chunks of a stream add up to."""
    if how == "invoke":
        return await model.ainvoke([message])
    first, *rest = [chunk async for chunk in model.astream([message])]
    return sum(rest, first)


DRAW = HumanMessage([{"type": "text", "text": "Draw."}, image(), image(BLUE)])


@pytest.mark.parametrize("how", ["invoke", "stream"])
async def test_an_answer_may_be_pictures_alone(model, how):
    model = model("draws")
    asked = HumanMessage([{"type": "text", "text": "Draw only."}, image()])
    answer = await answered(model, how, asked)
    assert answer.content == ""
    (file,) = answer.additional_kwargs["files"]
    assert file["mime_type"] == "image/png"
    with pytest.raises(GenerationError, match="contains no answer"):
        await model.ainvoke("Draw only.")


@pytest.mark.parametrize("how", ["invoke", "stream"])
async def test_files_of_an_answer_are_blocks_of_its_content_and_not_fetched(model, how, requests):
    model = model("draws", output_version="v1")
    answer = await answered(model, how, DRAW)
    kinds = [block["type"] for block in answer.content]
    assert kinds == ["text", "image", "image"]
    files = answer.additional_kwargs["files"]
    assert [block["url"] for block in answer.content[1:]] == [file["url"] for file in files]
    assert answer.content[1]["mime_type"] == "image/png"
    assert {*requests} <= {"config", "upload", "join", "data"}


async def test_a_file_of_an_answer_goes_back_to_the_space_as_its_own(model, requests):
    model = model("draws", output_version="v1")
    answer = await model.ainvoke([DRAW])
    got = await reached(model, DRAW, answer, HumanMessage("And?"))
    assert got[1] == ("assistant", "Here.", [seen(RED), seen(BLUE)])
    assert requests.count("upload") == 4  # twice the two that were asked with


async def test_an_answer_without_files_lists_none(model):
    answer = await model("draws").ainvoke([HumanMessage("Draw.")])
    assert "files" not in answer.additional_kwargs


@pytest.fixture
def requests(monkeypatch):
    """The last part of the path of every request that the package makes."""
    made = []
    request = SpaceClient.request

    async def noted(self, method, url, *args, **options):
        made.append(url.name)
        return await request(self, method, url, *args, **options)

    monkeypatch.setattr(SpaceClient, "request", noted)
    return made


WAV, PDF = FILES["a.wav"], FILES["a.pdf"]


@pytest.mark.parametrize(
    ("layout", "blocks", "why"),
    [
        (
            "narrow",
            [image(WAV, "audio/wav", type="audio")],
            r"'audio' \(number 0\) \(audio/wav, 'file.wav'\), but this .* takes image, .pdf, 1 at most",
        ),
        (
            "narrow",
            [image(), image(BLUE)],
            r"'image' \(number 1\).*so many files.*'Message' takes image",
        ),
        ("narrow", [image(RED + bytes(2**20))], r"of 1,048,\d+ bytes, .*at most 1,048,576"),
        (
            "beside",
            [image(), image(BLUE)],
            r"\(number 1\).*so many files.*'Picture' takes image, 1",
        ),
        (
            "beside",
            [image(b"PK\3\4", "application/zip", type="file")],
            r"'Picture' takes image, 1 at most; .*'Documents' takes .pdf, text\.",
        ),
        (
            "beside",
            [image(PDF, "image/png")],
            "labelled image/png, but its bytes are application/pdf",
        ),
    ],
)
async def test_what_no_input_takes_is_refused_before_anything_is_sent(
    model, requests, layout, blocks, why
):
    with pytest.raises(InvalidInputError, match=r"^messages\[0\] \(HumanMessage\) has .*" + why):
        await model(layout).ainvoke([HumanMessage(blocks)])
    assert not {"upload", "join", "predict"} & {*requests}


async def test_each_kind_of_file_goes_to_the_input_for_it(model):
    message = HumanMessage(
        [
            image(PDF, "application/pdf", type="file"),
            image(b"some words", "text/plain", type="file"),
            image(),
        ]
    )
    ((_, _, files),) = await reached(model("beside"), message)
    assert files == [seen(RED), seen(PDF), seen(b"some words")]


async def test_a_model_that_reads_text_only_gets_the_files_with_a_warning(model):
    message = HumanMessage([image()])
    with pytest.warns(UserWarning, match=r"runs qwen2.5-72b-instruct .*text only and will not see"):
        assert await reached(model("models", model="qwen2.5-72b"), message)
    assert await reached(model("models"), message) == [("user", "", [seen(RED)])]


async def test_the_profile_says_what_the_page_takes(model):
    chat = model("narrow")
    assert chat.profile is None
    await chat.ainvoke("Hi")
    takes = {key: value for key, value in chat.profile.items() if key.endswith("_inputs")}
    assert takes == {
        "image_inputs": True,
        "pdf_inputs": True,
        "audio_inputs": False,
        "video_inputs": False,
    }
    text_only = model("models", model="qwen2.5-72b")
    await text_only.ainvoke("Hi")
    assert text_only.profile["image_inputs"] is False
    assert chat.model_copy(update={"model": "72B"}).profile["image_inputs"] is False
    own = model("box", profile={"max_input_tokens": 5000})
    await own.ainvoke("Hi")
    assert own.profile == {"max_input_tokens": 5000}


async def test_pictures_count_as_an_estimate(model):
    message = HumanMessage([{"type": "text", "text": "What is it?"}, image()])
    chat = model("box")
    plain = await chat.ainvoke("What is it?")
    answer = await chat.ainvoke([message])
    more = answer.usage_metadata["input_tokens"] - plain.usage_metadata["input_tokens"]
    assert more == 2 * 2 + 2
    assert answer.response_metadata["usage_source"] == "estimate"
    counted = chat.get_num_tokens_from_messages([message])
    assert counted - chat.get_num_tokens_from_messages([HumanMessage("What is it?")]) == more


async def test_a_description_says_what_the_page_takes(model):
    assert (await model("narrow").adescribe()).files == ("'Message' takes image, .pdf, 1 at most",)
    described = await model("beside").adescribe()
    assert described.files[0] == "'Picture' takes image, 1 at most"
    assert not {"Picture", "Documents"} & described.settings.keys()
    assert "files         'Picture' takes image, 1 at most; 'Recording'" in str(described)


async def test_a_url_is_handed_to_the_space_or_fetched_here(model, monkeypatch):
    # The Space's own server has a file that the client is to fetch, as if it were elsewhere.
    draws = model("draws")
    file, _ = (await draws.ainvoke([DRAW])).additional_kwargs["files"]
    message = HumanMessage([{"type": "image", "url": file["url"]}])
    monkeypatch.setattr(fetching, "_is_public", lambda _: True)
    assert await reached(model("box", fetch_files=True), message) == [("user", "", [seen(RED)])]
    # Gradio itself fetches what a value names by its URL, but not from this machine.
    why = r"127\.0\.0\.1 failed validation.*download '.*png'.*fetch_files=True"
    with pytest.raises(GenerationError, match=why):
        await model("box").ainvoke([message])


@pytest.mark.parametrize("layout", ["beside", "box"])
async def test_a_picture_that_the_app_cannot_open_is_named(model, layout):
    """Gradio's image component opens each picture, and a box opens none."""
    heic = image(b"\0\0\0\x18ftypheic" + bytes(99), "image/heic")
    if layout == "box":
        assert await reached(model(layout), HumanMessage([heic]))
        return
    with pytest.raises(GenerationError, match=r"'file\.heic', which is image/heic: send a JPEG"):
        await model(layout).ainvoke([HumanMessage([heic])])


async def test_a_file_is_sent_once_however_often_it_stands_in_the_page(model, requests):
    message = HumanMessage([image()])
    await reached(model("two_steps"), message, AIMessage("Red."), HumanMessage([image(BLUE)]))
    assert requests.count("upload") == 2


async def test_fifty_megabytes_arrive_and_are_not_copied_on_the_way(model):
    data = os.urandom(50 * 2**20)
    # LangChain copies pictures, not other files, for its tracers.
    message = HumanMessage([image(data, "application/x-noise", type="file")])
    tokens.load()
    tracemalloc.start()
    try:
        assert await reached(model("box"), message) == [("user", "", [seen(data)])]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < len(data) + 8 * 2**20  # the bytes out of the base64, once


async def test_a_local_space_shows_files_to_the_function_that_answers(picture_space_url):
    model = ChatQwenSpace(space=picture_space_url, max_retries=0)
    text = (
        await model.ainvoke(
            [HumanMessage([image(), image(BLUE), image(PDF, "application/pdf", type="file")])]
        )
    ).text
    assert "I am a demo, not a vision model" in text
    assert f"a PNG picture, 8 x 8 pixels, {len(RED)} bytes, mostly red" in text
    assert f"a PNG picture, 8 x 8 pixels, {len(BLUE)} bytes, mostly blue" in text
    assert f"a file of {len(PDF):,} bytes" in text


async def test_a_local_space_keeps_files_and_turns_together(picture_space_url):
    model = ChatQwenSpace(space=picture_space_url, max_retries=0)
    messages = [HumanMessage([image()]), AIMessage("Red."), HumanMessage([image(BLUE)])]
    text = (await model.ainvoke(messages)).text
    assert "mostly blue" in text
    assert "red" not in text
    answer = await model.ainvoke([*messages, AIMessage("Blue."), HumanMessage("echo: Right.")])
    assert answer.text == "Right."


async def test_a_local_space_takes_files_of_64_mebibytes_at_most(picture_space_url):
    large = bytes(64 * 2**20 + 1)
    message = HumanMessage([image(large, "application/x-noise", type="file")])
    with pytest.raises(InvalidInputError, match=r"of 67,108,865 bytes.*at most 67,108,864"):
        await ChatQwenSpace(space=picture_space_url).ainvoke([message])
    form = aiohttp.FormData({"files": BytesIO(large)})
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{picture_space_url}/gradio_api/upload", data=form) as response,
    ):
        assert response.status == 413


def test_files_of_an_answer_are_shown_in_a_terminal(server, tmp_path):
    photo = tmp_path / "photo.png"
    photo.write_bytes(RED)
    space = server.base_url("pictures-draws")
    asked = ["chat", "--no-log", "--space", space, "-i", str(photo), "Draw only."]
    shown = CliRunner().invoke(app, asked)
    assert shown.stdout == ""
    assert shown.stderr.replace("\n", "").startswith(f"photo.png: {space}/gradio_api/file=")
    (file,) = json.loads(CliRunner().invoke(app, [*asked, "--json"]).stdout)["files"]
    assert (file["name"], file["mime_type"]) == ("photo.png", "image/png")


class Stuck:
    """A proxy before a server, which takes a piece of each upload, and the rest when that is over."""

    def __init__(self, server):
        self.server = server
        self.began, self.over, self.closed = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.taken = 0  # bytes

    @asynccontextmanager
    async def running(self):
        async with await asyncio.start_server(self._serve, "127.0.0.1") as listening:
            yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"

    async def _serve(self, reader, writer):
        url = URL(self.server.url)
        from_server, to_server = await asyncio.open_connection(url.host, url.port)
        answers = asyncio.create_task(self._copy(from_server, writer))
        with suppress(ConnectionError):
            while piece := await reader.read(65536):
                if self.began.is_set():
                    self.taken += len(piece)
                elif b"/upload " in piece.partition(b"\r\n")[0]:
                    self.began.set()
                    await self.over.wait()
                else:
                    to_server.write(piece)
        if self.began.is_set():
            self.closed.set()
        answers.cancel()
        to_server.close()
        writer.close()

    async def _copy(self, reader, writer):
        while piece := await reader.read(65536):
            writer.write(piece)

    async def was_left(self):
        """Whether the upload ended before its end."""
        self.over.set()
        await asyncio.wait_for(self.closed.wait(), 60)
        return self.taken < SIZE


@pytest.fixture
async def stuck(server):
    stuck = Stuck(server)
    async with stuck.running() as url:
        yield stuck, ChatQwenSpace(space=f"{url}/pictures-box", max_retries=0)


SIZE = 32 * 2**20  # bytes, more than what lies in the buffers of two sockets
LARGE = HumanMessage([image(RED + bytes(SIZE))])


async def test_a_call_that_is_cancelled_in_the_midst_of_an_upload_closes_its_connection(stuck):
    stuck, model = stuck
    call = asyncio.create_task(model.ainvoke([LARGE]))
    await stuck.began.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await stuck.was_left()


@pytest.mark.parametrize(
    ("settings", "why"),
    [({"timeout": 3}, "stopped reading 'file.png' for 3"), ({"total_timeout": 5}, "within 5")],
)
async def test_an_upload_that_stalls_is_given_up(stuck, settings, why):
    stuck, model = stuck
    with pytest.raises(SpaceTimeoutError, match=why):
        await model.model_copy(update=settings).ainvoke([LARGE])
    assert await stuck.was_left()
