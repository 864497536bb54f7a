"""A Qwen2 or Qwen2.5-VL model with random weights, and a tokenizer trained on a few sentences.

What it writes means nothing, but all that loads, prompts, streams and stops it is the real thing.
"""

from pathlib import Path
from typing import Any

import tokenizers
import torch
import transformers

SENTENCES = [
    "The sky is blue because the air scatters blue light more than red light.",
    "A list in a list: apples, pears, carrots and peas.",
    "def fibonacci(count): return numbers[:count]",
    "system user assistant You are a helpful assistant. Hello! How are you?",
]
# As in Qwen2.5's tokenizer: the marks of a turn are special, those of a call are not.
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
SEEING = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
MARKS = ["<tool_call>", "</tool_call>", "<think>", "</think>"]
TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# As Qwen2.5-VL's: a picture is one mark, which the processor repeats for each of its tokens.
SEEING_TEMPLATE = TEMPLATE.replace(
    "{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}",
    "{{ '<|im_start|>' + message.role + '\n' }}{% for part in message.content %}"
    "{% if part.type == 'image' %}{{ '<|vision_start|><|image_pad|><|vision_end|>' }}"
    "{% else %}{{ part.text }}{% endif %}{% endfor %}{{ '<|im_end|>\n' }}",
)


def save(folder: Path, *, window: int = 4096, template: str | None = TEMPLATE) -> str:
    """Make the model and its tokenizer, and save both in `folder`."""
    tokenizer = _tokenizer(template)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(7)
    config = transformers.Qwen2Config(**_text(tokenizer, window), vocab_size=len(tokenizer))
    transformers.Qwen2ForCausalLM(config).save_pretrained(folder)
    return str(folder)


def save_seeing(folder: Path) -> str:
    """Make a model that sees, with its processor, and save both in `folder`."""
    tokenizer = _tokenizer(SEEING_TEMPLATE)
    start, end, image, video = map(tokenizer.convert_tokens_to_ids, SEEING)
    side = {"shortest_edge": 56 * 56, "longest_edge": 28 * 28 * 64}
    processor = transformers.Qwen2_5_VLProcessor(
        transformers.Qwen2VLImageProcessor(size=side),
        tokenizer,
        transformers.Qwen2VLVideoProcessor(),
        chat_template=SEEING_TEMPLATE,
    )
    processor.save_pretrained(folder)
    torch.manual_seed(7)
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
    config = transformers.Qwen2_5_VLConfig(
        text_config={
            **_text(tokenizer, 4096),
            "vocab_size": len(tokenizer),
            "rope_parameters": rope,
        },
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "out_hidden_size": 64,
            "fullatt_block_indexes": [1],
        },
        vision_start_token_id=start,
        vision_end_token_id=end,
        image_token_id=image,
        video_token_id=video,
    )
    transformers.Qwen2_5_VLForConditionalGeneration(config).save_pretrained(folder)
    return str(folder)


def _text(tokenizer: transformers.PreTrainedTokenizerFast, window: int) -> dict[str, Any]:
    return {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": window,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "initializer_range": 1.0,
    }


def _tokenizer(template: str | None) -> transformers.PreTrainedTokenizerFast:
    bytes_and_pairs = tokenizers.Tokenizer(tokenizers.models.BPE())
    bytes_and_pairs.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_and_pairs.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=[*SPECIAL, *SEEING],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bytes_and_pairs.train_from_iterator(SENTENCES, trainer)
    bytes_and_pairs.add_tokens([tokenizers.AddedToken(mark, normalized=False) for mark in MARKS])
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=bytes_and_pairs, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    tokenizer.chat_template = template
    return tokenizer
