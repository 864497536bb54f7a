"""Weights behind a Space: loading, prompting, streaming and stopping, with a tiny random model."""

import threading
import time
from io import BytesIO
from itertools import pairwise

import pytest

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.errors import ContextTooLongError, GenerationError, InvalidInputError
from tests.integration_tests.serve.running import serving
from tests.pictures import image, png

transformers = pytest.importorskip("transformers")

from langchain_core.messages import AIMessage, HumanMessage, SystemMessage  # noqa: E402
from PIL import Image  # noqa: E402

from langchain_qwen_space.local.weights import Weights  # noqa: E402

from . import tiny_model  # noqa: E402

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(300)]

# More tokens than the tiny model writes in a minute.
ENDLESS = 100_000
CONVERSATION = [
    SystemMessage("You are a helpful assistant."),
    HumanMessage("Hello!"),
    AIMessage("  How are you?\n"),
    HumanMessage("Why is the sky blue?"),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    return tiny_model.save(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def endless(tmp_path_factory) -> str:
    return tiny_model.save(tmp_path_factory.mktemp("endless"), window=ENDLESS)


def greedy(model: str, prompt: str, max_tokens: int) -> str:
    """What transformers itself writes after `prompt`."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    weights = transformers.AutoModelForCausalLM.from_pretrained(model)
    inputs = tokenizer(prompt, return_tensors="pt")
    whole = weights.generate(**inputs, max_new_tokens=max_tokens, do_sample=False)
    return tokenizer.decode(whole[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def test_a_conversation_is_answered_with_exactly_what_the_weights_write(model, tmp_path):
    options = ("--backend", "transformers", "--model", model, "--max-tokens", "80")
    with serving(tmp_path, *options) as served:
        chat = ChatQwenSpace(space=served.url)
        chunks = [chunk.content for chunk in chat.stream(CONVERSATION) if chunk.content]
        assert chat.list_models() == [model]
        assert served.end() == 0
    prompt = (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\nHello!<|im_end|>\n"
        "<|im_start|>assistant\n  How are you?\n<|im_end|>\n"
        "<|im_start|>user\nWhy is the sky blue?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    expected = greedy(model, prompt, 80)
    assert len(expected) > 100
    assert "".join(chunks) == expected
    assert len(chunks) > 3, "it did not stream"


def test_an_answer_that_is_left_frees_the_model_for_the_next_caller(endless, tmp_path):
    options = ("--backend", "transformers", "--model", endless, "--max-tokens", str(ENDLESS))
    with serving(tmp_path, *options) as served:
        chat = ChatQwenSpace(space=served.url, queue_timeout=20)
        for _ in range(2):  # the second waits until the first is gone: there is one slot
            for chunk in chat.stream("Hello!"):
                if chunk.content:
                    break
        began = time.monotonic()
        assert served.end() == 0
        assert time.monotonic() - began < 5, "it waited for an answer that was being written"


def test_a_generator_that_is_closed_stops_the_model_at_its_next_token(endless):
    weights = Weights(endless, max_tokens=ENDLESS)
    before = threading.enumerate()
    answer = weights("", [], "Hello!", endless)
    assert next(answer) == ""
    assert not set(threading.enumerate()) - set(before), "something is begun already"
    next(answer)
    (writing,) = set(threading.enumerate()) - set(before)
    answer.close()
    writing.join(10)
    assert not writing.is_alive()


def test_letters_of_several_tokens_are_not_shown_before_they_are_whole(model):
    texts = list(Weights(model, max_tokens=80)("", [], "Hello!", model))
    assert not any(text.endswith("\ufffd") for text in texts if text != texts[-1])
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))
    assert "\ufffd" in texts[-1], "this model writes some, or the test shows nothing"


def test_a_conversation_longer_than_the_context_fails_as_such(tmp_path):
    small = tiny_model.save(tmp_path / "small", window=128)
    with serving(tmp_path, "--backend", "transformers", "--model", small) as served:
        chat = ChatQwenSpace(space=served.url)
        with pytest.raises(ContextTooLongError, match=r"maximum context length of .* is 128"):
            chat.invoke("Hello! " * 100)
        assert chat.invoke("a"), "an answer of the few tokens that are left"


@pytest.fixture(scope="module")
def seeing(tmp_path_factory) -> str:
    pytest.importorskip("torchvision")
    return tiny_model.save_seeing(tmp_path_factory.mktemp("seeing"))


def test_a_model_that_sees_is_shown_the_pictures_of_all_turns(seeing, tmp_path):
    first, second = png((200, 30, 30), 56), png((10, 20, 250), 84)
    question = {"type": "text", "text": "And this?"}
    conversation = [
        HumanMessage([{"type": "text", "text": "What is it?"}, image(first)]),
        AIMessage("Red."),
        HumanMessage([image(second), question]),
    ]
    options = ("--backend", "transformers", "--model", seeing, "--max-tokens", "40")
    with serving(tmp_path, *options) as served:
        chat = ChatQwenSpace(space=served.url, max_retries=0)
        assert chat.describe().files == ("'Question' takes image",)
        answer = chat.invoke(conversation).text
        other = chat.invoke([*conversation[:2], HumanMessage([image(first), question])]).text
        assert chat.invoke("Hello!").text  # text alone will do
        with pytest.raises(GenerationError, match=r"photo.*\.png is not a picture"):
            chat.invoke([HumanMessage([image(first[:60], extras={"filename": "photo.png"})])])
    processor = transformers.AutoProcessor.from_pretrained(seeing)
    weights = transformers.AutoModelForImageTextToText.from_pretrained(seeing)
    marks = "<|vision_start|><|image_pad|><|vision_end|>"
    prompt = (
        f"<|im_start|>user\n{marks}What is it?<|im_end|>\n"
        "<|im_start|>assistant\nRed.<|im_end|>\n"
        f"<|im_start|>user\n{marks}And this?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    pictures = [Image.open(BytesIO(data)) for data in (first, second)]
    inputs = processor(text=prompt, images=pictures, return_tensors="pt")
    assert (inputs["input_ids"] == weights.config.image_token_id).sum() == 2 * 2 + 3 * 3
    whole = weights.generate(**inputs, max_new_tokens=40, do_sample=False)
    expected = processor.decode(whole[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    assert answer == expected
    assert answer != other, "the picture made no difference"


def test_a_model_that_does_not_see_takes_no_files(model, tmp_path):
    with serving(tmp_path, "--backend", "transformers", "--model", model) as served:
        chat = ChatQwenSpace(space=served.url)
        assert not chat.describe().files
        with pytest.raises(InvalidInputError, match=r"'image' .*takes text only"):
            chat.invoke([HumanMessage([image()])])


def test_a_model_without_a_chat_template_is_refused(tmp_path):
    bare = tiny_model.save(tmp_path / "bare", template=None)
    with pytest.raises(ValueError, match="no chat template"):
        Weights(bare)
