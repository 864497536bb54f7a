"""Tokens of pictures: the size is read off every format, and the rule is the models' own."""

import io
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from langchain_qwen_space.attachments import Attachment
from langchain_qwen_space.qwen.vision import count


def picture(width, height, kind="PNG", **options):
    out = io.BytesIO()
    Image.new("RGB", (width, height), (200, 10, 10)).save(out, kind, **options)
    return Attachment(f"a.{kind.lower()}", f"image/{kind.lower()}", "", out.getvalue())


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("GIF", {}),
        ("JPEG", {}),
        ("JPEG", {"progressive": True, "comment": b"c" * 999, "exif": b"Exif\0\0" + b"e" * 999}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"exif": b"Exif\0\0MM\0*"}),
    ],
)
def test_the_size_is_read_off_every_format(kind, options):
    assert count(picture(560, 280, kind, **options)) == 20 * 10 + 2


# Worked out by hand after `smart_resize`.
@pytest.mark.parametrize(
    ("width", "height", "model", "squares"),
    [
        (1000, 700, "qwen2.5-vl-7b-instruct", 36 * 25),
        (1000, 700, None, 36 * 25),
        (1000, 700, "Qwen3-VL-8B-Instruct", 31 * 22),
        (10, 10, "qwen2.5-vl-7b-instruct", 2 * 2),  # enlarged
        (10, 10, "qwen3-vl-8b", 8 * 8),
        (8000, 4000, "qwen2.5-vl-7b-instruct", 181 * 90),  # shrunk
        (8000, 4000, "qwen3.5-35b", 181 * 90),
    ],
)
def test_a_picture_is_seen_in_squares(width, height, model, squares):
    assert count(picture(width, height), model) == squares + 2


STARTS = [b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff", b"RIFF....WEBPVP8 "]
STARTS += [b"RIFF....WEBPVP8L", b"RIFF....WEBPVP8X"]


@given(st.sampled_from(STARTS), st.binary(max_size=60), st.sampled_from([None, "qwen3-vl-8b"]))
def test_any_bytes_count_something_within_the_models_limits(start, rest, model):
    number = count(Attachment("a.png", "image/png", "", start + rest), model)
    assert number == 0 or 1 <= number - 2 <= 16_384


def test_a_jpeg_that_is_padded_without_end_is_not_read_to_its_end():
    began = time.process_time()
    assert count(Attachment("a.jpg", "image/jpeg", "", b"\xff\xd8" + b"\xff" * 50_000_000)) == 0
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "file",
    [
        Attachment("a.pdf", "application/pdf", "", b"%PDF-1.7"),
        Attachment("a.png", "image/png", "", url="https://example.org/a.png"),
        Attachment("a.png", "image/png", "", b"\x89PNG"),
        Attachment("a.png", "image/png", "", b"\x89PNG" + bytes(40)),
        Attachment("a.jpg", "image/jpeg", "", b"\xff\xd8\xff\xe0\0\x10"),
        Attachment("a.jpg", "image/jpeg", "", b"\xff\xd8\0\0\0\0"),
        picture(1001, 5),
        Attachment("a.svg", "image/svg+xml", "", b"<svg/>"),
    ],
)
def test_what_no_model_sees_or_has_no_known_size_counts_nothing(file):
    assert count(file) == 0
