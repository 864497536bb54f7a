import subprocess
import sys
import threading
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_qwen_space.qwen import tokens
from langchain_qwen_space.qwen.tokens import Estimate, Tokenizer, count_prompt

BYTES = {bytes([byte]): byte for byte in range(256)}  # a vocabulary of one token a byte
PIECES = ["word", "été", "e\u0301", " ", "  ", "\n", "\r\n", "12", "(", "'s", ".\n", "，", "你好"]
PIECES += [
    "<tool_call>",
    "<|im_end|>",
    "<",
    "|",
    "_call>",
    "schema",
    "HTTPServer",
    "ਸਾ",
    "한국어",
    "😀",
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=10).map("".join)


@pytest.fixture
def qwen():
    """The real tokenizer."""
    counter = tokens.load()
    if counter.source == "estimate":
        pytest.skip("needs the extra `tokens`")
    return counter


@pytest.fixture(params=["estimate", "bytes", "qwen"])
def counter(request):
    if request.param == "qwen":
        return request.getfixturevalue("qwen")
    return Estimate() if request.param == "estimate" else Tokenizer(BYTES)


class TestTokenizer:
    def test_ids_are_qwens(self, qwen):
        assert qwen.encode("Hello你好") == [9707, 108386]
        assert qwen.encode("<tool_call></tool_call>") == [151657, 151658]
        assert qwen.encode("<|endoftext|><|im_start|><|im_end|>") == [151643, 151644, 151645]
        assert qwen.encode("<|repo_name|><|file_sep|>") == [151663, 151664]

    def test_every_digit_is_a_token(self, qwen):
        assert qwen.count("20260101") == 8

    def test_a_control_string_that_a_user_wrote_is_one_token_as_on_the_server(self, counter):
        for text in ("<|im_end|>", "<tool_call>", "</tool_call>"):
            assert counter.count(f"a{text}b") == counter.count("a") + 1 + counter.count("b")

    def test_both_normal_forms_of_a_character_count_the_same(self):
        counter = Tokenizer(BYTES)
        assert counter.encode(unicodedata.normalize("NFD", "é")) == list("é".encode())

    def test_half_a_character_is_counted_and_no_error(self, counter):
        assert counter.count("a\ud83d") > 1

    def test_a_million_blanks_are_counted(self):
        assert Tokenizer(BYTES).count(" " * 1_000_000) == 1_000_000

    def test_no_text_is_no_token(self, counter):
        assert counter.count("") == 0


class TestEstimate:
    @pytest.mark.parametrize(
        "text",
        [
            "The quick brown fox jumps over the lazy dog, while nobody is looking.",
            "今天天气很好，我们一起去公园散步吧。",
            "def total(values: list[int]) -> int:\n    return sum(values)\n",
            '{"name": "get_weather", "arguments": {"city": "Paris", "days": 3}}',
            "Сегодня хорошая погода, и мы идём гулять в парк.",
            "Die Stadt hat beschlossen, die Öffnungszeiten der Bibliothek im kommenden Jahr zu verlängern.",
            "Miasto postanowiło w przyszłym roku znacznie wydłużyć godziny otwarcia biblioteki.",
            "Anda dapat mengubah pengaturan ini kapan saja, dan semua perubahan akan langsung disimpan.",
        ],
    )
    def test_it_is_near_the_tokenizer(self, qwen, text):
        assert Estimate().count(text) == pytest.approx(qwen.count(text), rel=0.2)

    def test_it_needs_nothing_else(self):
        assert Estimate().count("The sky is blue.") == 5
        assert Estimate().source == "estimate"

    def test_it_gives_no_ids_and_says_what_to_install(self):
        with pytest.raises(ImportError, match=r"pip install .*\[tokens\]"):
            Estimate().encode("Hello")


class TestSegments:
    @given(text=TEXTS, more=TEXTS, data=st.data())
    @pytest.mark.parametrize("counter", [Estimate(), Tokenizer(BYTES)], ids=["estimate", "bytes"])
    def test_counts_of_the_parts_add_up_whatever_follows(self, counter, text, more, data):
        *closed, last = counter.segments(text)
        assert "".join([*closed, last]) == text
        end = len(text) - len(last)
        for cut in range(end + 1, len(text + more) + 1):
            longer = (text + more)[:cut]
            parts = sum(map(counter.count, closed)) + counter.count(longer[end:])
            assert counter.count(longer) == parts

    @given(text=TEXTS, more=TEXTS)
    def test_and_so_they_do_with_qwens_vocabulary(self, text, more):
        counter = tokens.load()
        *closed, last = counter.segments(text)
        parts = sum(map(counter.count, closed)) + counter.count(last + more)
        assert counter.count(text + more) == parts

    @pytest.mark.parametrize(
        "run", ["a", "=", "哈", " ", "\n", "\r\n", "ab", "的一是在不了有和人这中大为"]
    )
    def test_a_run_without_end_is_cut_where_nothing_changes(self, counter, run):
        text = (run * 5000)[:5000]
        parts = counter.segments(text)
        assert max(map(len, parts)) <= 1024
        assert "".join(parts) == text
        assert sum(map(counter.count, parts)) == counter.count(text)

    def test_a_control_string_is_never_cut(self, counter):
        text = "x<tool_call>y<|object_ref_start|>z"
        assert "<tool_call>" in "".join(counter.segments(text))
        for cut in range(1, len(text)):
            *closed, last = counter.segments(text[:cut])
            rest = counter.count(last + text[cut:])
            assert sum(map(counter.count, closed)) + rest == counter.count(text)


class TestCountPrompt:
    def test_it_counts_what_qwens_template_renders(self, counter):
        rendered = (
            "<|im_start|>system\nBe brief.<|im_end|>\n"
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello!<|im_end|>\n"
            "<|im_start|>user\n\nWhy?<|im_end|>\n<|im_start|>assistant\n"
        )
        counted = count_prompt(counter, "Be brief.", [("Hi", "Hello!")], "\nWhy?")
        assert counted == counter.count(rendered)

    def test_an_empty_system_prompt_is_a_turn_too(self, counter):
        turn = counter.count("<|im_start|>system\n<|im_end|>\n")
        rest = counter.count("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
        assert count_prompt(counter, "", [], "Hi") == turn + rest

    def test_the_default_prompt_is_as_long_as_qwen_says(self, qwen):
        system = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
        assert count_prompt(qwen, system, [], "hi") == 30


class TestLoad:
    @pytest.fixture(autouse=True)
    def _fresh(self):
        tokens._load.cache_clear()
        yield
        tokens._load.cache_clear()

    def test_without_the_vocabulary_it_is_the_estimate(self, monkeypatch):
        monkeypatch.setattr(tokens, "find_spec", lambda name: None)
        assert tokens.load().source == "estimate"

    def test_without_tiktoken_it_is_the_estimate(self, monkeypatch):
        monkeypatch.setattr(tokens, "_vocabulary", lambda: dict.fromkeys(range(151_643)))
        monkeypatch.setattr(tokens, "find_spec", lambda name: None)
        assert tokens.load().source == "estimate"

    def test_another_vocabulary_than_qwen2_5s_is_not_used(self, monkeypatch, tmp_path):
        package = tmp_path / "dashscope"
        (package / "resources").mkdir(parents=True)
        (package / "__init__.py").write_text("raise RuntimeError('imported')")
        (package / "resources" / "qwen.tiktoken").write_bytes(b"IQ== 0\nIg== 1\n")
        monkeypatch.syspath_prepend(tmp_path)
        assert tokens._vocabulary() == {b"!": 0, b'"': 1}
        assert tokens.load().source == "estimate"

    def test_threads_share_one_counter_that_is_made_once(self, monkeypatch):
        made = []

        def slow():
            made.append(1)
            time.sleep(0.05)
            return {}

        monkeypatch.setattr(tokens, "_vocabulary", slow)
        counters = []
        threads = [
            threading.Thread(target=lambda: counters.append(tokens.load())) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(made) == 1
        assert len({id(counter) for counter in counters}) == 1

    def test_counting_imports_neither_dashscope_nor_transformers(self):
        code = (
            "import sys; from langchain_qwen_space.qwen import tokens; tokens.load().count('a');"
            "sys.exit(sorted({'dashscope', 'transformers'} & sys.modules.keys()))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
        assert done.stderr.decode().strip() == "[]"
