"""`Weights`: answers by a model's weights on this machine, through transformers."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import torch
import transformers
from gradio import Error

from .answers import NOTHING_YET, Draft, messages


class Weights:
    """A model that is loaded, with its tokenizer or processor. Called, it is an `Answer`.

    A model that sees, such as Qwen3-VL, is asked with the pictures of the conversation.

    It runs on a GPU where PyTorch finds one. How it samples is what the model's own
    `generation_config.json` says. One answer is written at a time; callers share nothing but the
    weights, so several at a time work too, each the slower.

    Args:
        model: Id of a model on Hugging Face, or a folder that holds one.
        max_tokens: The most tokens of an answer.

    Raises:
        OSError: There is no such model, or it cannot be fetched.
        ValueError: It is not a language model, or has no chat template.

    Attributes:
        file_types: What can be attached: pictures, or nothing.
    """

    def __init__(self, model: str, max_tokens: int = 2048) -> None:
        self._name = model
        self._max_tokens = max_tokens
        config = transformers.AutoConfig.from_pretrained(model)
        sees = type(config) in transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
        self.file_types = ["image"] if sees else []
        reader = transformers.AutoProcessor if sees else transformers.AutoTokenizer
        maker = (
            transformers.AutoModelForImageTextToText if sees else transformers.AutoModelForCausalLM
        )
        self._reader: Any = reader.from_pretrained(model)
        if not self._reader.chat_template:
            raise ValueError(
                f"{model} has no chat template, so it was not trained to chat. "
                "Use a chat model; their names often end in -Instruct."
            )
        self._model = maker.from_pretrained(model, dtype="auto").to(_device()).eval()
        self._window = getattr(config.get_text_config(), "max_position_embeddings", None)

    def __call__(
        self,
        system: str,
        history: list[tuple[str, str]],
        query: str,
        model: str,
        files: Sequence[Sequence[str]] = (),
    ) -> Iterator[str]:
        """Answer; when the generator is closed, the model stops at its next token.

        Raises:
            gradio.Error: The conversation does not fit into the model's context, or a file is not a
                picture that can be read.
        """
        yield NOTHING_YET
        conversation = messages(system, history, query, files, _part)
        if self.file_types:  # processors look for pictures among parts
            for message in conversation:
                if isinstance(message["content"], str):
                    message["content"] = [{"type": "text", "text": message["content"]}]
        prompt = self._reader.apply_chat_template(
            conversation,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        ).to(self._model.device)
        start = prompt["input_ids"].shape[1]
        draft, left, work = Draft(), threading.Event(), Future[None]()

        def text_of(tokens: torch.Tensor) -> str:
            return str(self._reader.decode(tokens, skip_special_tokens=True))

        def after_a_token(tokens: torch.Tensor, _scores: object, **_: object) -> torch.Tensor:
            # A letter may take several tokens; one that is not whole is decoded as U+FFFD.
            draft.write(text_of(tokens[0, start:]).rstrip("\ufffd"))
            return torch.full((1,), left.is_set(), dtype=torch.bool, device=tokens.device)

        def generate() -> None:
            try:
                whole = self._model.generate(
                    **prompt,
                    max_new_tokens=self._room(start),
                    stopping_criteria=transformers.StoppingCriteriaList([after_a_token]),
                )
                draft.write(text_of(whole[0, start:]))
            except BaseException as error:
                work.set_exception(error)
            else:
                work.set_result(None)

        thread = threading.Thread(target=generate, daemon=True)
        thread.start()
        try:
            yield from draft.readings(work)
            thread.join()
        finally:
            left.set()

    def _room(self, start: int) -> int:
        """How many tokens an answer may have to a prompt of `start` tokens."""
        if self._window is None:
            return self._max_tokens
        if start >= self._window:
            raise Error(
                f"The conversation has {start} tokens, and the maximum context length of "
                f"{self._name} is {self._window}."
            )
        return int(min(self._max_tokens, self._window - start))


def _part(path: str) -> dict[str, Any]:
    """A picture as processors take it."""
    try:
        return {"type": "image", "image": transformers.image_utils.load_image(path)}
    except Exception as error:  # of Pillow, which has several
        raise Error(f"{Path(path).name} is not a picture that can be read here.") from error


def _device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
