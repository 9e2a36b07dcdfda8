"""Tokenisers: a text as ids and back, by characters, bytes, or the pieces of byte-pair encoding."""

from gpt.tokens.bpe import BPE
from gpt.tokens.decoder import Decoder
from gpt.tokens.find import choose, load
from gpt.tokens.plain import Bytes, Characters
from gpt.tokens.tokenizer import Tokenizer, from_json

__all__ = ["BPE", "Bytes", "Characters", "Decoder", "Tokenizer", "choose", "from_json", "load"]
