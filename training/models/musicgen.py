"""MusicGen's language model: codes of all codebooks, a step at a time, under a text or a melody.

One network for training (all steps at once), for prompts (many steps onto a cache) and for play (one step onto a
cache): `LM.forward` does each, and `KeyValues` is all that changes between. Codes come as sequences ``[B, K, S]`` that
`engine.music.codes` lays out.

Source: Copet et al., "Simple and Controllable Music Generation", 2023, and its release.
"""

import math
from dataclasses import dataclass, field
from typing import Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "LARGE",
    "LM",
    "MEDIUM",
    "SMALL",
    "KeyValues",
    "MusicgenConfig",
    "TransformerBlock",
    "guided",
    "init_weights",
    "positions",
    "said",
]

_HEAD: Final = 64
_ROTARY_BASE: Final = 10_000.0
_QUERIES: Final = 128  # that a processor takes at a time where it hears a window


@dataclass(frozen=True, kw_only=True)
class MusicgenConfig:
    """Sizes of one language model; the defaults are the published small one.

    Args:
        width: D, a multiple of 64: heads are 64 wide. layers: blocks.
        codebooks: K, 8 for stereo. entries: codes of each; one more is the special code.
        text: width of what the text encoder gives; 0 for none.
        chroma: classes of a melody condition; 0 for none.
        cross: conditions are attended to beside the sequence; otherwise they stand before it.
        rotary: positions turn queries and keys, so that old ones can be let go of; otherwise they are added once.
        features: numbers a step that tell of beat, bar and chord, added to its embedding; 0 for none.
        character: the last of these, which words fill in; 0 for none.
        window: positions that a step attends to, itself the last of them; 0 for all. With rotary positions a model that
            has learned so may forget what is older: an endless stream is what it was trained for.
    """

    width: int = 1024
    layers: int = 24
    codebooks: int = 4
    entries: int = 2048
    text: int = 768
    chroma: int = 0
    cross: bool = True
    rotary: bool = False
    features: int = 0
    character: int = 0
    window: int = 0

    def __post_init__(self) -> None:
        if self.width % _HEAD or self.width <= 0:
            raise ValueError(f"got width {self.width}, wanted a multiple of {_HEAD}: heads are that wide")
        if self.character and not (self.text and self.character <= self.features):
            raise ValueError(f"words cannot fill in {self.character} of {self.features} features without a text width")

    @property
    def heads(self) -> int:
        return self.width // _HEAD


SMALL: Final = MusicgenConfig()
MEDIUM: Final = MusicgenConfig(width=1536, layers=48)
LARGE: Final = MusicgenConfig(width=2048, layers=48)


@dataclass(slots=True)
class KeyValues:
    """What a sequence has left behind: keys and values of all positions so far, by layer.

    Args:
        past: for each layer keys and values ``[B, heads, P, 64]``.
        context: for each layer those of the condition ``[B, heads, L, 64]``, worked out once.
    """

    past: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    context: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    @property
    def length(self) -> int:
        """P, positions so far."""
        return self.past[0][0].shape[2] if self.past else 0

    def rewound(self, length: int) -> "KeyValues":
        """The cache as it was when it had `length` positions; shares memory, as nothing in it is ever written to."""
        return KeyValues([(k[:, :, :length], v[:, :, :length]) for k, v in self.past], list(self.context))


def positions(first: int, count: int, width: int) -> Tensor:
    """``[count, width]``: cosines, then sines, of positions from `first` on.

    Frequencies fall from 1 to 1 / 10000 in ``width / 2`` steps, the last included, as in the release.
    """
    half = width // 2
    frequencies = 10_000.0 ** (-torch.arange(half, dtype=torch.float64) / (half - 1))
    angles = torch.arange(first, first + count, dtype=torch.float64)[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=1).float()


def _rotated(x: Tensor, first: int) -> Tensor:
    """Queries or keys ``[B, heads, S, 64]`` turned by their positions, pairs being (i, i + 32)."""
    half = x.shape[3] // 2
    frequencies = _ROTARY_BASE ** (-torch.arange(half, dtype=torch.float32, device=x.device) / half)
    angles = torch.arange(first, first + x.shape[2], dtype=torch.float32, device=x.device)[:, None] * frequencies
    cos, sin = angles.cos(), angles.sin()
    one, two = x[..., :half], x[..., half:]
    return torch.cat([one * cos - two * sin, two * cos + one * sin], dim=3)


def _windowed(q: Tensor, k: Tensor, v: Tensor, window: int) -> Tensor:
    """Each of S positions attends to itself and the ``window - 1`` before it; all ``[B, heads, S, 64]``.

    In pieces that leave out what no position of theirs hears: forward and back less than half of what torch's fused
    attention takes on a processor, which multiplies everything and masks it.
    """
    steps, parts = q.shape[2], []
    q = q * q.shape[3] ** -0.5
    for begin in range(0, steps, _QUERIES):
        end, first = min(begin + _QUERIES, steps), max(0, begin - window + 1)
        deaf = torch.ones(end - begin, end - first, dtype=torch.bool, device=q.device)
        deaf = ~deaf.tril(begin - first).triu(begin - first - window + 1)
        weights = (q[:, :, begin:end] @ k[:, :, first:end].transpose(2, 3)).masked_fill(deaf, -math.inf)
        parts.append(weights.softmax(dim=3).to(v.dtype) @ v[:, :, first:end])
    return torch.cat(parts, dim=2)


class Attention(nn.Module):
    """Attention without biases; `qkv` are queries, keys and values, one above the other."""

    def __init__(self, config: MusicgenConfig) -> None:
        super().__init__()
        self.heads, self.rotary, self.window = config.heads, config.rotary, config.window
        self.qkv = nn.Parameter(torch.empty(3 * config.width, config.width))
        self.out = nn.Linear(config.width, config.width, bias=False)
        nn.init.xavier_uniform_(self.qkv)

    def forward(self, x: Tensor, past: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """`x` ``[B, S, D]`` after `past`, each position hearing itself and all before it; keys and values grown."""
        first = past[0].shape[2] if past is not None else 0
        q, k, v = (self._split(part) for part in functional.linear(x, self.qkv).chunk(3, dim=2))
        if self.rotary:
            q, k = _rotated(q, first), _rotated(k, first)
        if past is not None:
            k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)
        steps = x.shape[1]
        heard = None
        narrow = 0 < self.window < first + steps
        if narrow or (steps > 1 and first):
            heard = torch.ones(steps, first + steps, dtype=torch.bool, device=x.device).tril(first)
            heard = heard.triu(first - self.window + 1) if narrow else heard
        if narrow and not first and x.device.type == "cpu":
            y = _windowed(q, k, v, self.window)
        else:
            y = functional.scaled_dot_product_attention(q, k, v, heard, is_causal=heard is None and steps > 1)
        return self._joined(y), (k, v)

    def attend(self, x: Tensor, keys: tuple[Tensor, Tensor]) -> Tensor:
        """`x` ``[B, S, D]`` to what `keys_of` gave."""
        width = x.shape[2]
        q = self._split(functional.linear(x, self.qkv[:width]))
        return self._joined(functional.scaled_dot_product_attention(q, *keys))

    def keys_of(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values ``[B, heads, L, 64]`` of a condition ``[B, L, D]``."""
        width = context.shape[2]
        k, v = functional.linear(context, self.qkv[width:]).chunk(2, dim=2)
        return self._split(k), self._split(v)

    def _split(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], self.heads, _HEAD).transpose(1, 2)

    def _joined(self, y: Tensor) -> Tensor:
        out: Tensor = self.out(y.transpose(1, 2).flatten(2))
        return out


class TransformerBlock(nn.Module):
    """Attention to the past, to the condition, and a layer of its own; each beside a shortcut."""

    def __init__(self, config: MusicgenConfig) -> None:
        super().__init__()
        width = config.width
        self.norm1, self.attention = nn.LayerNorm(width), Attention(config)
        self.norm_cross = nn.LayerNorm(width) if config.cross else None
        self.cross = Attention(config) if config.cross else None
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def keys_of(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """`Attention.keys_of` of the layer that attends to the condition; there must be one."""
        assert self.cross is not None
        return self.cross.keys_of(context)

    def forward(
        self, x: Tensor, past: tuple[Tensor, Tensor] | None, context: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """`x` ``[B, S, D]`` -> the same, and keys and values with those of these steps."""
        y, grown = self.attention(self.norm1(x), past)
        x = x + y
        if self.cross is not None and self.norm_cross is not None and context is not None:
            x = x + self.cross.attend(self.norm_cross(x), context)
        return x + self.down(functional.gelu(self.up(self.norm2(x)))), grown


class LM(nn.Module):
    """The language model."""

    def __init__(self, config: MusicgenConfig = SMALL) -> None:
        super().__init__()
        self.config = config
        width, books = config.width, range(config.codebooks)
        self.embeddings = nn.ModuleList(nn.Embedding(config.entries + 1, width) for _ in books)
        self.blocks = nn.ModuleList(TransformerBlock(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)
        self.heads = nn.ModuleList(nn.Linear(width, config.entries, bias=False) for _ in books)
        self.text = nn.Linear(config.text, width) if config.text else None
        self.melody = nn.Linear(config.chroma, width) if config.chroma else None
        self.conducting = nn.Linear(config.features, width) if config.features else None
        self.reader = nn.Linear(config.text, config.character) if config.character else None

    def condition(self, text: Tensor | None, mask: Tensor | None = None, melody: Tensor | None = None) -> Tensor | None:
        """The conditions of a sequence, ``[B, L, D]``, the melody first; None without any.

        Args:
            text: ``[B, Lt, text]`` from the text encoder. mask: ``[B, Lt]``, 0 where a text has ended or is not given:
                what stands there becomes zeros.
            melody: ``[B, Lm, chroma]``, one of the classes 1.
        Raises:
            ValueError: a condition is given for which the model has no layer.
        """
        parts = []
        for name, values, layer in (("melody", melody, self.melody), ("text", text, self.text)):
            if values is None:
                continue
            if layer is None:
                raise ValueError(f"this model takes no {name}; leave it out or choose another bundle")
            made = layer(values)
            parts.append(made if name == "melody" or mask is None else made * mask.unsqueeze(2).to(made.dtype))
        return torch.cat(parts, dim=1) if parts else None

    def read(self, text: Tensor, mask: Tensor) -> Tensor:
        """``[B, character]`` in -1..1 of text as in `condition`, the mean of its words; zeros of no words.

        Raises:
            ValueError: this model reads none.
        """
        if self.reader is None:
            raise ValueError("this model reads no character out of words")
        return said(self.reader, text, mask)

    def forward(
        self,
        codes: Tensor,
        context: Tensor | None = None,
        cache: KeyValues | None = None,
        features: Tensor | None = None,
    ) -> Tensor:
        """Logits ``[B, K, S, entries]`` of what follows each of the steps `codes` ``[B, K, S]``.

        Args:
            context: what `condition` gave. With a cache it is taken with the first steps and then remembered.
            cache: moved on in place; None: the sequence begins here and is not continued.
            features: ``[B, S, features]`` of a conducted model.
        """
        cache = KeyValues() if cache is None else cache
        first = cache.length
        parts = [table(code) for table, code in zip(self.embeddings, codes.unbind(dim=1), strict=True)]
        x = torch.stack(parts).sum(dim=0)
        if self.conducting is not None and features is not None:
            x = x + self.conducting(features)
        before = 0
        if context is not None and not first:
            if self.config.cross:
                cache.context = [block.keys_of(context) for block in self._layers()]
            else:
                x, before = torch.cat([context, x], dim=1), context.shape[1]
        if not self.config.rotary:
            x = x + positions(first, x.shape[1], self.config.width).to(x)
        grown = []
        for index, block in enumerate(self._layers()):
            past = cache.past[index] if cache.past else None
            x, kept = block(x, past, cache.context[index] if cache.context else None)
            grown.append(kept)
        cache.past = grown
        x = self.norm(x[:, before:])
        return torch.stack([head(x) for head in self.heads], dim=1)

    def _layers(self) -> list["TransformerBlock"]:
        return cast("list[TransformerBlock]", list(self.blocks))


def said(reader: nn.Linear, text: Tensor, mask: Tensor) -> Tensor:
    """`LM.read`."""
    mask = mask.unsqueeze(2).to(text.dtype)
    mean = (reader(text) * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1.0)
    return torch.tanh(mean) * mask.amax(dim=1)


def guided(logits: Tensor, scale: float) -> Tensor:
    """Logits ``[B, ...]`` of ``[2 B, ...]``, the conditioned half first: away from the other by `scale`."""
    conditional, unconditional = logits.chunk(2)
    return unconditional + scale * (conditional - unconditional)


def init_weights(model: LM) -> None:
    """As the release begins: normal within three deviations of ``1 / sqrt(inputs)``, smaller the deeper a block is."""
    width = model.config.width
    for index, block in enumerate(model.blocks):
        depth = math.sqrt(2.0 * (index + 1))
        for name, value in block.named_parameters():
            if value.dim() == 2:
                inputs = 4 * width if name.startswith("down") else width
                _normal(value, inputs**-0.5 / depth)
    for layer in [*model.embeddings, *model.heads, model.text, model.melody, model.conducting]:
        if layer is not None:
            _normal(layer.weight, (width if isinstance(layer, nn.Embedding) else layer.weight.shape[1]) ** -0.5)
            if getattr(layer, "bias", None) is not None:
                nn.init.zeros_(layer.bias)


def _normal(value: Tensor, deviation: float) -> None:
    nn.init.trunc_normal_(value, std=deviation, a=-3 * deviation, b=3 * deviation)
