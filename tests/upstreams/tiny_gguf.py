"""A llama-architecture GGUF of about half a megabyte with random weights.

It knows nothing and says everything: its vocabulary is the 256 byte tokens plus a few pieces, so
what it emits splits characters, begins them and never ends them, and mixes in plain text. It is
a real model file for a real server, made in well under a second and the same for the same seed.
"""

from __future__ import annotations

import os
from pathlib import Path

import gguf
import numpy as np

MODEL_NAME = "tiny-random"

# Small enough for thousands of tokens a second on one core, large enough that the server's
# kernels, which work on blocks of 32, accept every shape.
_EMBEDDING = 64
_HEADS = 4
_LAYERS = 2
_FEED_FORWARD = 128
_CONTEXT = 4096
_BYTE_TOKENS = 256
_EOS = 2
# Whole pieces between the bytes: words, and characters of two, three and four bytes.
_PIECES = ("▁", "▁the", "▁a", "ing", "▁of", ",", ".", "é", "日本", "🙂", "\u2028", "\\", '"', "=")
# Spreads the logits, so that sampling repeats itself little and still differs by seed.
_OUTPUT_SCALE = 0.35
_TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def cached_tiny_gguf(directory: Path, seed: int = 7) -> Path:
    """The path of the model file in ``directory``, written there if it is not there yet.

    Safe to call from several processes at once: the file appears whole or not at all.
    """
    path = directory / f"{MODEL_NAME}-{seed}.gguf"
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.partial")
        write_tiny_gguf(partial, seed)
        partial.replace(path)
    return path


def write_tiny_gguf(path: Path, seed: int) -> None:
    """Write the model to ``path``; the same ``seed`` gives the same weights."""
    writer = gguf.GGUFWriter(path, "llama")
    try:
        _add_shape(writer)
        vocabulary = _add_vocabulary(writer)
        _add_weights(writer, np.random.default_rng(seed), vocabulary)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def _add_shape(writer: gguf.GGUFWriter) -> None:
    writer.add_name(MODEL_NAME)
    writer.add_context_length(_CONTEXT)
    writer.add_embedding_length(_EMBEDDING)
    writer.add_block_count(_LAYERS)
    writer.add_feed_forward_length(_FEED_FORWARD)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(_EMBEDDING // _HEADS)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)


def _add_vocabulary(writer: gguf.GGUFWriter) -> int:
    """Add a SentencePiece-style tokenizer; gives the number of tokens."""
    kinds = gguf.TokenType
    tokens = ["<unk>", "<s>", "</s>"]
    types = [kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL]
    tokens += [f"<0x{byte:02X}>" for byte in range(_BYTE_TOKENS)]
    types += [kinds.BYTE] * _BYTE_TOKENS
    tokens += _PIECES
    types += [kinds.NORMAL] * len(_PIECES)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types(types)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(_EOS)
    writer.add_chat_template(_TEMPLATE)
    return len(tokens)


def _add_weights(writer: gguf.GGUFWriter, random: np.random.Generator, vocabulary: int) -> None:
    def add(name: str, *shape: int, scale: float = 0.1) -> None:
        weights = random.standard_normal(shape, dtype=np.float32) * np.float32(scale)
        writer.add_tensor(f"{name}.weight", weights)

    def add_norm(name: str) -> None:
        writer.add_tensor(f"{name}.weight", np.ones(_EMBEDDING, dtype=np.float32))

    add("token_embd", vocabulary, _EMBEDDING, scale=1.0)
    for layer in range(_LAYERS):
        block = f"blk.{layer}"
        add_norm(f"{block}.attn_norm")
        for matrix in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"{block}.{matrix}", _EMBEDDING, _EMBEDDING)
        add_norm(f"{block}.ffn_norm")
        add(f"{block}.ffn_gate", _FEED_FORWARD, _EMBEDDING)
        add(f"{block}.ffn_up", _FEED_FORWARD, _EMBEDDING)
        add(f"{block}.ffn_down", _EMBEDDING, _FEED_FORWARD)
    add_norm("output_norm")
    add("output", vocabulary, _EMBEDDING, scale=_OUTPUT_SCALE)
