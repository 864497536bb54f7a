"""Content blocks -> files: what is read, under which name and type, and what is refused."""

import base64
import mimetypes
import os
import re
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from langchain_qwen_space import content_blocks, file_block, media_types
from langchain_qwen_space.errors import InvalidInputError

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
JPEG = b"\xff\xd8\xff\xe0" + b"\0" * 40
GIF, WEBP = b"GIF89a" + b"\0" * 40, b"RIFF\0\0\0\0WEBPVP8 "
PDF, WAV = b"%PDF-1.7\n", b"RIFF\0\0\0\0WAVEfmt "
MP4, MP3 = b"\0\0\0\x20ftypisom\0\0", b"\xff\xfb\x90\x00"


def b64(data):
    return base64.b64encode(data).decode()


def read(block):
    return content_blocks.read(block, "messages[0] has a content block")


def data_url(data, mime_type="image/png"):
    return f"data:{mime_type};base64,{b64(data)}"


@pytest.mark.parametrize(
    ("block", "name", "mime_type", "data"),
    [
        # LangChain's standard blocks, of 1.x and of 0.3
        ({"type": "image", "base64": b64(PNG)}, "file.png", "image/png", PNG),
        (
            {
                "type": "file",
                "base64": b64(PDF),
                "mime_type": "application/pdf",
                "extras": {"filename": "a.pdf"},
            },
            "a.pdf",
            "application/pdf",
            PDF,
        ),
        (
            {"type": "audio", "base64": b64(WAV), "mime_type": "audio/wav"},
            "file.wav",
            "audio/wav",
            WAV,
        ),
        ({"type": "video", "base64": b64(MP4)}, "file.mp4", "video/mp4", MP4),
        (
            {"type": "image", "source_type": "base64", "data": b64(GIF), "mime_type": "image/gif"},
            "file.gif",
            "image/gif",
            GIF,
        ),
        (
            {
                "type": "text-plain",
                "base64": b64(b"hi"),
                "mime_type": "text/plain",
                "title": "a.txt",
            },
            "a.txt",
            "text/plain",
            b"hi",
        ),
        # OpenAI's
        (
            {"type": "image_url", "image_url": {"url": data_url(JPEG, "image/jpeg")}},
            "file.jpg",
            "image/jpeg",
            JPEG,
        ),
        ({"type": "image_url", "image_url": data_url(PNG)}, "file.png", "image/png", PNG),
        ({"type": "input_image", "image_url": data_url(PNG)}, "file.png", "image/png", PNG),
        (
            {"type": "input_audio", "input_audio": {"data": b64(MP3), "format": "mp3"}},
            "file.mp3",
            "audio/mpeg",
            MP3,
        ),
        (
            {
                "type": "file",
                "file": {"filename": "b.pdf", "file_data": data_url(PDF, "application/pdf")},
            },
            "b.pdf",
            "application/pdf",
            PDF,
        ),
        (
            {
                "type": "input_file",
                "filename": "b.pdf",
                "file_data": data_url(PDF, "application/pdf"),
            },
            "b.pdf",
            "application/pdf",
            PDF,
        ),
        # Anthropic's and Google's
        (
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/webp", "data": b64(WEBP)},
            },
            "file.webp",
            "image/webp",
            WEBP,
        ),
        (
            {"type": "document", "title": "c", "source": {"type": "text", "text": "héllo"}},
            "c.txt",
            "text/plain",
            "héllo".encode(),
        ),
        (
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "plain123"},
            },
            "file.txt",
            "text/plain",
            b"plain123",  # which is valid base64 too
        ),
        (
            {"type": "media", "mime_type": "video/mp4", "data": b64(MP4)},
            "file.mp4",
            "video/mp4",
            MP4,
        ),
        # a data URL as a standard block's URL, and one without base64
        ({"type": "image", "url": data_url(PNG)}, "file.png", "image/png", PNG),
        ({"type": "file", "url": "data:text/csv,a%2Cb"}, "file.csv", "text/csv", b"a,b"),
        (
            {"type": "file", "url": "data:,h%C3%A9 #1"},
            "file",
            "application/octet-stream",
            "hé #1".encode(),
        ),
    ],
)
def test_the_blocks_of_every_provider_are_read(block, name, mime_type, data):
    file = read(block)
    assert (file.name, file.mime_type, file.data, file.url) == (name, mime_type, data, None)


@pytest.mark.parametrize(
    ("block", "name", "mime_type"),
    [
        ({"type": "image", "url": "https://e.org/a/photo.jpg?x=1"}, "photo.jpg", "image/jpeg"),
        ({"type": "image_url", "image_url": {"url": "https://e.org/photo"}}, "photo", "image/*"),
        ({"type": "image", "source": {"type": "url", "url": "http://e.org"}}, "file", "image/*"),
        (
            {"type": "media", "file_uri": "https://e.org/1", "mime_type": "image/png"},
            "1.png",
            "image/png",
        ),
        (
            {"type": "file", "url": "https://e.org/x", "mime_type": "application/pdf"},
            "x.pdf",
            "application/pdf",
        ),
        ({"type": "input_file", "file_url": "https://e.org/y.pdf"}, "y.pdf", "application/pdf"),
    ],
)
def test_a_url_stays_one(block, name, mime_type):
    file = read(block)
    assert (file.name, file.mime_type, file.data) == (name, mime_type, None)
    assert file.url in str(block)


@pytest.mark.parametrize("written", [b64(PNG).rstrip("="), b64(PNG)[:9] + "\n" + b64(PNG)[9:]])
def test_base64_may_be_wrapped_or_unpadded(written):
    assert read({"type": "image", "base64": written}).data == PNG


@pytest.mark.parametrize(
    "url",
    [
        f"DATA:Image/PNG;BASE64,{b64(PNG)}",
        f" data: image/png ; base64 , {b64(PNG)}\n",
        f'data:image/png;name="a,b.png";base64,{b64(PNG)}',
        f"data:image/png;charset=utf-8;base64,{b64(PNG)}",
        f"data:;base64,{b64(PNG)}",
        f"data:image/png;base64,{quote(b64(PNG), safe='')}",
        f"data:image/png;base64,{b64(PNG)}#part",
    ],
)
@pytest.mark.parametrize("key", ["url", "base64"])
def test_a_data_url_may_be_written_in_every_way_that_a_browser_reads(url, key):
    file = read({"type": "image", key: url})
    assert (file.data, file.mime_type) == (PNG, "image/png")


def test_words_where_a_film_has_its_first_atom_make_no_film_of_a_text(tmp_path):
    path = tmp_path / "NOTES"
    path.write_text("The free encyclopedia")
    assert file_block(path)["type"] == "file"


def test_sound_of_a_3gpp2_container_is_sound():
    data = b"\0\0\0\x18ftyp3g2a"
    assert read({"type": "audio", "base64": b64(data), "mime_type": "audio/3gpp2"}).data == data


@pytest.mark.parametrize(("name", "kept"), [(".png", "file.png"), ("....png", "file.png")])
def test_a_name_without_a_stem_gets_one(name, kept):
    assert read({"type": "image", "base64": b64(PNG), "filename": name}).name == kept


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_need_no_base64(kind):
    assert read({"type": "image", "base64": kind(PNG), "mime_type": "image/png"}).data == PNG


@pytest.mark.parametrize(
    ("kind", "stated", "data", "mime_type", "name"),
    [
        ("image", " Image/PNG; charset=binary", PNG, "image/png", "file.png"),
        ("image", "png", PNG, "image/png", "file.png"),
        ("image", "image/svg+xml", b"<svg/>", "image/svg+xml", "file.svg"),
        ("image", "image/jpeg", b"\0\0\0\x18ftypheix", "image/heic", "file.heic"),
        ("image", "image/avif", b"\0\0\0\x1cftypavis", "image/avif", "file.avif"),
        ("image", "image/x-icon", b"\0\0\1\0", "image/x-icon", "file.ico"),
        ("audio", "audio/mpeg", b"\0\0\xff\xfd", "audio/mpeg", "file.mp3"),  # layer II, padded
        ("audio", "audio/wav", b"RF64\xff\xff\xff\xffWAVE", "audio/wav", "file.wav"),
        ("audio", "audio/mp4", b"\0\0\0\x1cftypM4B ", "audio/mp4", "file.m4a"),
        ("video", "video/quicktime", b"\0\0\0\x08wide", "video/quicktime", "file.mov"),
        ("video", "video/mp4", b"\0\0\1\0mdat", "video/mp4", "file.mp4"),
        ("video", "video/x-matroska", b"\x1aE\xdf\xa3", "video/x-matroska", "file.mkv"),
        ("video", "video/3gpp", b"\0\0\0\x14ftyp3gp5", "video/3gpp", "file.3gp"),
        ("file", "application/pdf", b"\xef\xbb\xbf\n%PDF-1.7", "application/pdf", "file.pdf"),
        ("file", "text/plain", b"GIF89a is a format", "text/plain", "file.txt"),
        ("file", "text/plain", "ID3 é".encode() * 100, "text/plain", "file.txt"),
        ("file", "text/csv", b"abcdftypisom,1", "text/csv", "file.csv"),
        ("file", "text/plain", GIF, "image/gif", "file.gif"),
        ("file", "text/x-unknown", b"hi", "text/x-unknown", "file.txt"),
        ("file", "text/plain", PDF + b"\xe2\xe3\xcf\xd3", "application/pdf", "file.pdf"),
    ],
)
def test_bytes_of_unusual_files_are_known_or_trusted(kind, stated, data, mime_type, name):
    file = read({"type": kind, "base64": b64(data), "mime_type": stated})
    assert (file.mime_type, file.name) == (mime_type, name)


@pytest.mark.parametrize("mime_type", sorted(content_blocks._FORMATS | set(media_types.SUFFIXES)))
def test_every_known_type_has_a_suffix_where_the_system_has_no_table_of_types(
    monkeypatch, mime_type
):
    monkeypatch.setattr(mimetypes, "_db", mimetypes.MimeTypes())
    name = content_blocks._named("a", mime_type)
    assert name.startswith("a.")
    assert content_blocks._named(name, mime_type) == name
    suffix = name.removeprefix("a")
    assert content_blocks._named(f"A.B{suffix.upper()}", mime_type) == f"A.B{suffix.upper()}"
    assert media_types.type_of(name)


def test_a_text_on_this_machine_may_begin_like_a_picture(tmp_path):
    path = tmp_path / "formats.txt"
    path.write_text("GIF89a is a format.")
    block = file_block(path)
    assert (block["type"], block["mime_type"]) == ("file", "text/plain")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://e.org/%E5%86%99.png", "写.png"),
        ("https://e.org/..%2F..%2Fetc%2Fa.png", "a.png"),
        ("https://пример.рф/фото.png", "фото.png"),
        ("https://user:secret@e.org/a.png?x=/b.gif", "a.png"),
        ("HTTP://[2606:4700::1111]:8080/a.png#b", "a.png"),
        (" https://e.org/a.png ", "a.png"),
        (f"https://e.org/{'a' * 5000}.png", "a" * 196 + ".png"),
    ],
)
def test_a_url_is_kept_as_it_is_and_names_its_file(url, name):
    file = read({"type": "image", "url": url})
    assert (file.url, file.name) == (url.strip(), name)


values = st.one_of(
    st.none(),
    st.integers(),
    st.booleans(),
    st.binary(max_size=20),
    st.text(max_size=20),
    st.sampled_from([b64(PNG), data_url(PNG), "data:", "http://[", "image/png", "image/", "a/b;c"]),
)
blocks = st.dictionaries(
    st.sampled_from(
        [
            "base64",
            "data",
            "url",
            "text",
            "file_data",
            "file_id",
            "mime_type",
            "media_type",
            "format",
            "name",
            "filename",
            "title",
            "extras",
            "metadata",
            "source",
            "file",
            "input_audio",
            "image_url",
            "audio_url",
        ]
    ),
    values | st.dictionaries(st.sampled_from(["url", "data", "file_id", "filename"]), values),
)


def outcome(block):
    try:
        return read(block)
    except InvalidInputError as error:
        return error


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(content_blocks.KINDS)), blocks)
def test_whatever_a_block_holds_is_read_or_refused_by_name(kind, block):
    result = outcome({**block, "type": kind})
    if isinstance(result, InvalidInputError):
        assert str(result).startswith("messages[0] has a content block")
        return
    assert (result.data is None) == (result.url is not None)
    assert result.name.encode()
    assert "/" not in result.name
    assert re.fullmatch(r"[!-~]+/[!-~]+", result.mime_type)


def test_base64_may_use_the_alphabet_of_urls():
    data = PNG + b"\xfb\xff\xfe"
    written = base64.urlsafe_b64encode(data).decode()
    assert "-" in written
    assert read({"type": "image", "base64": written}).data == data


@pytest.mark.parametrize(
    ("stated", "data", "mime_type"),
    [
        ("image/jpeg", PNG, "image/png"),  # the bytes know better
        ("", PNG, "image/png"),
        ("audio/mp4", MP4, "audio/mp4"),  # MP4 holds sound as well
        ("image/svg+xml", b"<svg/>", "image/svg+xml"),  # shows in no first bytes
        ("application/pdf", PDF, "application/pdf"),
    ],
)
def test_the_type_is_the_one_of_the_bytes(stated, data, mime_type):
    kind = stated.partition("/")[0] if stated.startswith(("image", "audio")) else "file"
    assert read({"type": kind, "base64": b64(data), "mime_type": stated}).mime_type == mime_type


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("photo.png", "photo.png"),
        ("photo", "photo.png"),
        ("photo.v2", "photo.v2.png"),
        ("../../etc/photo.png", "photo.png"),
        ("C:\\photos\\1.png", "1.png"),
        ("фото.png", "фото.png"),
        ("写真", "写真.png"),
        ("  ", "file.png"),
        ("..", "file.png"),
        ("\N{CAMERA}.png", "file\N{CAMERA}.png"),
        ("a/", "file.png"),
        ("half \ud83d.png", "half ?.png"),
    ],
)
def test_a_name_has_no_folders_and_a_suffix_of_its_type(given, name):
    block = {"type": "image", "base64": b64(PNG), "extras": {"filename": given}}
    assert read(block).name == name


@pytest.mark.parametrize(
    ("block", "why"),
    [
        ({"type": "image", "file_id": "file-1"}, "the id of a file"),
        ({"type": "image", "source": {"type": "file", "file_id": "1"}}, "the id of a file"),
        ({"type": "image", "source_type": "id", "id": "1"}, "the id of a file"),
        ({"type": "image"}, "no bytes and no URL"),
        ({"type": "image", "base64": "not base64!"}, "not valid base64"),
        ({"type": "image", "base64": "A"}, "not valid base64"),
        ({"type": "image", "base64": 5}, "not valid base64"),
        ({"type": "image", "url": "data:image/png"}, "no comma"),
        ({"type": "file", "url": "data:text/plain,"}, "is empty"),
        ({"type": "file", "url": "data:text/plain,\ud83d"}, "half a character"),
        ({"type": "document", "source": {"type": "text", "text": "\ud83d"}}, "half a character"),
        ({"type": "image", "base64": "", "mime_type": "image/png"}, "is empty"),
        (
            {"type": "image", "base64": b64(b"<svg/>"), "mime_type": "a/b\r\nX: 1"},
            "not a MIME type",
        ),
        ({"type": "image", "url": "https://e.org/a", "mime_type": "png"}, "not a MIME type"),
        ({"type": "image", "base64": b64(PNG) + "!"}, "not valid base64"),
        ({"type": "image", "url": f"data:;base64,{data_url(PNG)}"}, "not valid base64"),
        ({"type": "image", "url": "https://e.org/a\n.png"}, "not an http or https URL"),
        ({"type": "image", "url": "https://e.org/\ud83d.png"}, "not an http or https URL"),
        ({"type": "image", "url": "https://e.org:99999/a.png"}, "not an http or https URL"),
        ({"type": "image", "url": "ftp://ada:secret@e.org/a.png"}, r"'ftp://e\.org/a\.png'"),
        ({"type": "image", "url": "photo.png"}, r"file_block\(path\)"),
        ({"type": "image", "url": "gs://bucket/a.png"}, "not an http or https URL"),
        ({"type": "image", "url": "file:///etc/passwd"}, r"file_block\(path\)"),
        ({"type": "image", "url": "http://["}, "not an http or https URL"),
        (
            {"type": "image", "base64": b64(PDF)},
            "labelled image, but its bytes are application/pdf",
        ),
        (
            {"type": "image", "base64": b64(b"<html>"), "mime_type": "image/png"},
            "labelled image/png, but its bytes are not",
        ),
        (
            {"type": "audio", "base64": b64(JPEG), "mime_type": "audio/wav"},
            "labelled audio/wav, but its bytes are image/jpeg",
        ),
    ],
)
def test_what_cannot_be_sent_is_refused_with_its_block(block, why):
    with pytest.raises(InvalidInputError, match=rf"^messages\[0\] has a content block.*{why}"):
        read(block)


@pytest.mark.parametrize(
    ("name", "data", "kind", "mime_type"),
    [
        ("photo.jpg", JPEG, "image", "image/jpeg"),
        ("wrong.jpg", PNG, "image", "image/png"),
        ("a.wav", WAV, "audio", "audio/wav"),
        ("a.mp4", MP4, "video", "video/mp4"),
        ("a.pdf", PDF, "file", "application/pdf"),
        ("a.csv", b"1,2", "file", "text/csv"),
        ("a.csv.gz", b"\x1f\x8b\x08", "file", "application/gzip"),
        ("a", b"\0", "file", "application/octet-stream"),
    ],
)
def test_a_file_on_this_machine_becomes_a_standard_block(tmp_path, name, data, kind, mime_type):
    path = tmp_path / name
    path.write_bytes(data)
    block = file_block(path)
    assert (block["type"], block["mime_type"]) == (kind, mime_type)
    assert read(block).data == data
    assert read(file_block(str(path))).name.startswith(name)


@pytest.mark.timeout(10)  # reading it would not end
def test_what_is_not_a_regular_file_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(OSError, match="Not a regular file"):
            file_block(path)
