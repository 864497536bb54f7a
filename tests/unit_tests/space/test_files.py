"""Which inputs of a page take files, what they accept, and how their values hold them."""

import pytest

from langchain_qwen_space.attachments import Attachment
from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.space.chat.files import file_data, file_inputs, kinds, lay_out, listed
from langchain_qwen_space.space.page.config import Component, SpaceConfig

IMAGE = Attachment("a.png", "image/png", "The block", b"1234")
OTHER = Attachment("b.jpg", "image/jpeg", "The other block", b"12")
VIDEO = Attachment("a.mp4", "video/mp4", "The block", b"12")
PDF = Attachment("a.pdf", "application/pdf", "The block", b"12")
LINK = Attachment("a", "image/*", "The block", url="https://example.org/a")
ALL = {"image", "audio", "video", "pdf"}


def page(*components, version="6.31.0"):
    """The inputs of a chat, the question's box last, and the page that they are on."""
    inputs = [
        Component(id=number, type=kind, props=props)
        for number, (kind, props) in enumerate(components)
    ]
    config = SpaceConfig(
        base="http://127.0.0.1:7860", version=version, components=inputs, dependencies=[]
    )
    return inputs, config


def laid_out(files, *components, **options):
    inputs, config = page(*components, **options)
    return lay_out(inputs, len(inputs) - 1, "Q", [files], config)


PRO = "modelscopepromultimodalinput"


@pytest.mark.parametrize(
    ("kind", "props", "taken"),
    [
        ("textbox", {}, set()),
        ("multimodaltextbox", {}, ALL),
        ("multimodaltextbox", {"file_types": ["image", ".PDF"]}, {"image", "pdf"}),
        ("multimodaltextbox", {"sources": ["microphone"]}, {"audio"}),
        ("multimodaltextbox", {"sources": ["upload", "microphone"]}, ALL),
        (PRO, {}, ALL),
        (PRO, {"upload_config": {"accept": "image/*,.pdf"}}, {"image", "pdf"}),
        (PRO, {"upload_config": {"accept": "audio/wav"}}, {"audio"}),
        (PRO, {"upload_config": {"allow_upload": False}}, set()),
        (PRO, {"upload_config": {"disabled": True}}, set()),
        ("modelscopelegacymultimodalinput", {"sources": ["upload"]}, ALL),
        ("antdxattachments", {"accept": "video/*"}, {"video"}),
        ("antdupload", {"max_count": 2}, ALL),
        ("file", {"file_types": ["text", "video"]}, {"video"}),
        ("file", {"file_types": ["file"]}, ALL),
        ("image", {}, {"image"}),
        ("image", {"visible": False}, set()),
        ("image", {"interactive": False}, set()),
        ("image", {"streaming": True}, set()),
    ],
)
def test_what_an_input_takes(kind, props, taken):
    inputs, _ = page((kind, props))
    assert kinds(inputs, 0) == taken


BOX = ("textbox", {})


@pytest.mark.parametrize(
    ("components", "files", "values"),
    [
        ([("multimodaltextbox", {"file_count": "multiple"})], [IMAGE, PDF], [[IMAGE, PDF]]),
        ([(PRO, {})], [IMAGE, PDF], [[IMAGE, PDF]]),
        ([("image", {}), BOX], [IMAGE], [IMAGE]),
        ([("image", {}), ("image", {}), BOX], [IMAGE, OTHER], [IMAGE, OTHER]),
        ([("file", {"file_count": "single"}), BOX], [PDF], [PDF]),
        ([("file", {"file_count": "multiple"}), BOX], [PDF], [[PDF]]),
        ([("antdxattachments", {}), ("antdxsender", {})], [IMAGE, PDF], [[IMAGE, PDF]]),
        ([("video", {}), BOX], [VIDEO], [VIDEO]),
        # what the box does not take goes to the input beside it
        (
            [("file", {}), ("multimodaltextbox", {"file_types": ["image"]})],
            [IMAGE, PDF],
            [PDF, [IMAGE]],
        ),
    ],
)
def test_files_are_laid_out_as_the_inputs_take_them(components, files, values):
    laid = laid_out(files, *components)
    shown = [
        value["files"] if isinstance(value, dict) else value for _, value in sorted(laid.items())
    ]
    assert shown == values


def test_a_video_has_subtitles_until_gradio_6():
    assert laid_out([VIDEO], ("video", {}), BOX, version="5.50.0") == {
        0: {"video": VIDEO, "subtitles": None}
    }


@pytest.mark.parametrize(
    ("components", "files", "why"),
    [
        ([BOX], [IMAGE], "^The block, but this Space accepts text only"),
        (
            [("image", {"label": "Photo"}), BOX],
            [PDF],
            "application/pdf.*'Photo' takes image, 1 at most",
        ),
        (
            [("image", {}), BOX],
            [IMAGE, OTHER],
            "^The other block, but the Space does not accept so many files",
        ),
        ([("antdupload", {"max_count": 1}), BOX], [IMAGE, OTHER], "^The other block.*1 at most"),
        (
            [(PRO, {"upload_config": {"max_count": 1}})],
            [IMAGE, OTHER],
            "^The other block.*1 at most",
        ),
    ],
)
def test_what_does_not_fit_is_refused(components, files, why):
    with pytest.raises(InvalidInputError, match=why):
        laid_out(files, *components)


def test_a_file_is_named_by_its_place_on_the_space_or_by_its_url():
    _, config = page()
    meta = {"_type": "gradio.FileData"}
    assert file_data(IMAGE, "/tmp/a.png", config) == {
        "path": "/tmp/a.png",
        "orig_name": "a.png",
        "mime_type": "image/png",
        "size": 4,
        "meta": meta,
    }
    assert file_data(LINK, None, config) == {
        "path": "https://example.org/a",
        "orig_name": "a",
        "meta": meta,
    }


def test_a_file_of_an_answer_is_listed_with_a_whole_url_that_leads_back_to_it():
    _, config = page()
    file = {"path": "/tmp/a b/ö.png", "url": "/file=/tmp/a b/ö.png", "meta": {}}
    told = listed(file, config)
    assert told["name"] == "ö.png"
    assert told["mime_type"] == "image/png"
    assert told["url"].startswith("http://127.0.0.1:7860/file=/tmp/a%20b/")
    back = Attachment("ö.png", "image/png", "", url=told["url"])
    assert file_data(back, None, config)["path"] == "/tmp/a b/ö.png"
    elsewhere = listed({"path": "https://example.org/a.png"}, config)
    assert elsewhere["url"] == "https://example.org/a.png"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ({"path": "/tmp/1/a.png", "orig_name": "../../.profile"}, ".profile"),
        ({"path": "/tmp/1/a.png", "orig_name": "C:\\Windows\\a.png"}, "a.png"),
        ({"path": "/tmp/1/a.png", "orig_name": ".."}, "file"),
        ({"path": "/tmp/1/"}, "file"),
        ({"path": None, "url": "data:image/png;base64,aGk="}, "file"),
    ],
)
def test_a_file_of_an_answer_has_a_name_that_leads_into_no_folder(file, name):
    _, config = page()
    told = listed(file, config)
    assert told["name"] == name
    assert told["url"].startswith(("http://127.0.0.1:7860/file=/tmp/1/", "data:image/png"))


def test_the_box_of_the_question_is_filled_first():
    inputs, _ = page(("image", {}), ("multimodaltextbox", {}))
    assert [slot.index for slot in file_inputs(inputs, 1)] == [1, 0]
