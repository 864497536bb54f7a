"""A Qwen2 model with random weights, and a tokenizer trained on a few sentences.

What it writes means nothing, but all that loads, prompts, streams and stops it is the real thing.
"""

from pathlib import Path

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
MARKS = ["<tool_call>", "</tool_call>", "<think>", "</think>"]
TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def save(folder: Path, *, window: int = 4096, template: str | None = TEMPLATE) -> str:
    """Make the model and its tokenizer, and save both in `folder`."""
    bytes_and_pairs = tokenizers.Tokenizer(tokenizers.models.BPE())
    bytes_and_pairs.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_and_pairs.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=SPECIAL,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bytes_and_pairs.train_from_iterator(SENTENCES, trainer)
    bytes_and_pairs.add_tokens([tokenizers.AddedToken(mark, normalized=False) for mark in MARKS])
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=bytes_and_pairs, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)

    torch.manual_seed(7)
    config = transformers.Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=window,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=1.0,
    )
    transformers.Qwen2ForCausalLM(config).save_pretrained(folder)
    return str(folder)
