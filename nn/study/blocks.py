"""Blocks without a residual connection, or with other ones than a GPT's; all are constructed as `Block`."""

from typing import Any

from minigrad.tensor import Tensor
from nn.block import Block
from nn.layers import Dropout

PreNormBlock = Block  # what a GPT has, beside the others


class PlainBlock(Block):
    """mlp(ln_2(attn(ln_1(x)))): no residual connection at all, for comparison."""

    def forward(self, x: Tensor, cache: dict | None = None) -> Tensor:
        """Feed x through attention and the MLP."""
        return self.mlp(self.ln_2(self.attn(self.ln_1(x), cache)))


class SkipOneBlock(Block):
    """A residual connection around each of the two layers, from the normalised input.

        x = ln_1(x);   y = drop1(x) + attn(x);   y = ln_2(y);   z = drop1(y) + mlp(y)

    Unlike `PreNormBlock` it adds what the layer norm returns, so the stream is normalised again
    in every block, and its gradient with it.

    Random    in training: dropout1 for x, attn's masks, dropout1 for y, mlp's mask
    """

    def __init__(self, *sizes: Any, dropout1: float = 0.0, **options: Any) -> None:
        super().__init__(*sizes, **options)
        self.dropout1 = Dropout(dropout1)  # on connections that skip one layer

    def forward(self, x: Tensor, cache: dict | None = None) -> Tensor:
        """Add each layer's output to its normalised input."""
        x = self.ln_1(x)
        y = self.dropout1(x) + self.attn(x, cache)
        y = self.ln_2(y)
        return self.dropout1(y) + self.mlp(y)


class SkipTwoBlock(SkipOneBlock):
    """`SkipOneBlock` with one more connection, from the first normalised input past both layers.

        x = ln_1(x);   y = drop1(x) + attn(x);   y = ln_2(y);   z = drop2(x) + drop1(y) + mlp(y)

    Random    in training: dropout1 for x, attn's masks, dropout2 for x, dropout1 for y, mlp's mask
    """

    def __init__(self, *sizes: Any, dropout2: float = 0.0, **options: Any) -> None:
        super().__init__(*sizes, **options)
        self.dropout2 = Dropout(dropout2)  # on the connection that skips two

    def forward(self, x: Tensor, cache: dict | None = None) -> Tensor:
        """Add each layer's output to its normalised input, and the first input to the end."""
        x = self.ln_1(x)
        y = self.dropout1(x) + self.attn(x, cache)
        y = self.ln_2(y)
        return self.dropout2(x) + self.dropout1(y) + self.mlp(y)
