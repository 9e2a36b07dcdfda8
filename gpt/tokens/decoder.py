"""Text as it is written, token by token."""

import codecs

import numpy as np

from gpt.tokens.tokenizer import Tokenizer
from minigrad.errors import check_type


class Decoder:
    """Decodes a stream of ids without ever cutting a character in half.

    A token may end inside a character: its first bytes then wait for the rest. What `push` returned, together
    with `flush`, is what `decode` returns for all the ids.

    Example   >>> decoder = Decoder(Bytes())
              >>> [decoder.push(i) for i in "né".encode()], decoder.flush()
              (['n', '', 'é'], '')
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = check_type("Decoder", tokenizer, Tokenizer, "a tokeniser")
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, ids: int | np.ndarray) -> str:
        """Return the characters that are whole with this token, or with these; errors as in `decode`."""
        return self._utf8.decode(self.tokenizer.bytes_of(np.atleast_1d(ids)))

    def flush(self) -> str:
        """End the text: return what waits, as the replacement character, and begin anew."""
        return self._utf8.decode(b"", final=True)
