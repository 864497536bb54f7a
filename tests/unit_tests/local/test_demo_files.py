"""What the demo says of a file: a picture's size and colour, and of anything else its size."""

from io import BytesIO
from struct import pack
from zlib import crc32

import pytest

pytest.importorskip("PIL")

from PIL import Image

from langchain_qwen_space.local.demo_files import demo_with_files, description
from tests.pictures import RED


def picture(mode="RGB", color="navy", kind="PNG", size=(40, 30), **options):
    data = BytesIO()
    Image.new(mode, size, color).save(data, kind, **options)
    return data.getvalue()


def header(width, height):
    """The beginning of a PNG of that size."""
    head = b"IHDR" + pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + pack(">I", 13) + head + pack(">I", crc32(head))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (picture(), "a PNG picture, 40 x 30 pixels, {size} bytes, mostly blue"),
        (picture(kind="JPEG"), "a JPEG picture, 40 x 30 pixels, {size} bytes, mostly blue"),
        (
            picture("RGBA", (255, 255, 255, 0)),
            "a PNG picture, 40 x 30 pixels, {size} bytes, mostly white",
        ),
        (picture("L", 128), "a PNG picture, 40 x 30 pixels, {size} bytes, mostly grey"),
        (
            picture("P", 0, "GIF", save_all=True, append_images=[Image.new("P", (40, 30), 1)]),
            "a GIF picture, 40 x 30 pixels, {size} bytes, mostly black",
        ),
        (b"%PDF-1.7\n", "a file of {size} bytes"),
        (b"", "a file of {size} bytes"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "a file of {size} bytes"),
        (picture()[:60], "a file of {size} bytes"),  # cut off
        (header(60_000, 60_000), "a file of {size} bytes"),  # more pixels than Pillow opens
    ],
)
def test_a_file_is_measured_and_a_picture_is_looked_at(tmp_path, data, said):
    path = tmp_path / "a.bin"
    path.write_bytes(data)
    assert description(path) == f"`a.bin`: {said.format(size=len(data))}"


def test_only_the_files_of_the_question_are_looked_at_and_without_any_it_answers(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(RED)
    *_, text = demo_with_files("", [("one", "red")], "two", "m", [["gone.png"], [str(path)]])
    assert text.count("picture") == 1
    *_, text = demo_with_files("", [("one", "red")], "echo: two", "m", [[str(path)], []])
    assert text == "two"
