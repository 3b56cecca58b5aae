"""Networks of the published sizes with random weights, as bundles and in torch, for ``engine.bench`` to compare with.

``python -m export.bench.peer make NAME OUTDIR`` writes bundles as OUTDIR/BUILD: of ``musika`` and ``musicgen`` networks
of the published sizes, of ``musicgen_live`` one of the starter's size. ``... measure NAME`` measures somebody else's
program on the same work: ``musika`` torch, from coordinates to sound in stereo, inverse transform and overlap-add
included; ``musicgen`` the language model of transformers. Each prints one JSON value.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from engine.music.conducting import CHARACTER, GUIDED_FEATURES, STEP_FEATURES
from export.graphs.musika import export
from training.models.musika import M44, build, save

__all__ = ["main"]

_BUILDS: Final = ("fp32", "int8")
_PATCHES: Final = 2  # in one offline run: 24 s of sound
_RUNS: Final = 3
_PIECES: Final = ("<pad>", "<unk>", "slow", "fast", "piano", "drums")
_TOKENIZER: Final = json.dumps(
    {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None, "decoder": None,
        "model": {"type": "WordLevel", "vocab": {word: i for i, word in enumerate(_PIECES)}, "unk_token": "<unk>"},
    }
)  # fmt: skip
_PROMPT, _STEPS = 250, 20  # frames of the prompt, and steps of the peer's language model


def main(argv: Sequence[str] | None = None) -> int:
    """Print the answer to one question."""
    parser = argparse.ArgumentParser(prog="python -m export.bench.peer", description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    make, measure = verbs.add_parser("make"), verbs.add_parser("measure")
    make.add_argument("name", choices=list(_MADE))
    make.add_argument("outdir", type=Path)
    measure.add_argument("name", choices=list(_MEASURED))
    arguments = parser.parse_args(argv)
    making = arguments.verb == "make"
    answer = _MADE[arguments.name](arguments.outdir) if making else _MEASURED[arguments.name]()
    json.dump(answer, sys.stdout)
    return 0


def _networks() -> dict[str, nn.Module]:
    """The networks of inference at the published size, with seeded random weights."""
    torch.manual_seed(0)
    return {name: build(M44, name).eval() for name in ("generator", "decoder2", "decoder")}


def _musika(outdir: Path) -> dict[str, object]:
    checkpoint = outdir / "random.safetensors"
    save(checkpoint, M44, _networks(), {"source": "random weights of the published size", "licence": "CC0-1.0"})
    for name in _BUILDS:
        export(checkpoint, outdir / name, name)
    return {"builds": list(_BUILDS)}


def _torch() -> dict[str, object]:
    """Seconds of sound a second: offline with all cores in one batch, live with one core block by block."""
    networks = _networks()
    rates, cores = {}, torch.get_num_threads()
    with torch.inference_mode():
        for name, threads, blocks in (("musika offline", cores, 0), ("musika live, one core", 1, 1)):
            torch.set_num_threads(threads)
            rates[name] = statistics.median(_run(networks, blocks) for _ in range(_RUNS + 1))
    return {"peer": f"torch {torch.__version__}, fp32", "values": rates}


def _run(networks: Mapping[str, nn.Module], blocks: int) -> float:
    """Speed of `_PATCHES` patches, decoded `blocks` stereo blocks at a time (0: all of them)."""
    rng = torch.Generator().manual_seed(1)
    coordinates = torch.randn(_PATCHES, M44.coordinates, M44.seq_len, generator=rng)
    begun = time.perf_counter()
    latents = networks["generator"](coordinates, _noise(networks["generator"], _PATCHES, rng))
    halves = latents.reshape(_PATCHES, 2, M44.latent, -1, M44.block).permute(0, 3, 1, 2, 4).flatten(0, 2)
    tail = torch.zeros(2, 3, M44.hop)
    samples = 0
    for piece in halves.split(2 * blocks or len(halves)):
        level1 = networks["decoder2"](piece, _noise(networks["decoder2"], len(piece), rng))
        magnitude, phase = networks["decoder"](level1, _noise(networks["decoder"], len(piece), rng))
        sound, tail = _sound(magnitude, phase, tail)
        samples += sound.shape[1]
    return samples / M44.sample_rate / (time.perf_counter() - begun)


def _noise(network: nn.Module, batch: int, rng: torch.Generator) -> Tensor:
    lengths: tuple[int, ...] = network.noise_lengths  # type: ignore[assignment]  # a tuple, torch sees Tensor | Module
    return torch.randn(batch, sum(lengths), generator=rng)


def _sound(magnitude: Tensor, phase: Tensor, tail: Tensor) -> tuple[Tensor, Tensor]:
    """Samples [2, N] of spectra [2 * blocks, bins, 64], and the tail [2, 3, hop] that stays open."""
    amplitude = torch.sqrt(torch.exp((M44.sigma * magnitude + M44.mu) * 0.23025851) + 1e-7)
    frames = torch.fft.irfft(torch.polar(amplitude, torch.pi * phase).transpose(1, 2), dim=-1)
    frames = frames * (torch.hann_window(4 * M44.hop) / 1.5)
    quarters = frames.reshape(-1, 2, frames.shape[1], 4, M44.hop).transpose(0, 1).flatten(1, 2)
    count = quarters.shape[1]
    sound = torch.zeros(2, count + 3, M44.hop)
    sound[:, :3] = tail
    for quarter in (3, 2, 1, 0):
        sound[:, quarter : quarter + count] += quarters[:, :, quarter]
    return sound[:, :count].flatten(1), sound[:, count:].clone()


def _musicgen(outdir: Path) -> dict[str, object]:
    """The small language model with its codec, without text: that is encoded once."""
    import gc

    from export.graphs.musicgen.bundle import export as export_musicgen
    from training.models.encodec import ENCODEC_32, Encodec
    from training.models.musicgen import LM, SMALL, init_weights
    from training.models.musicgen_files import Sizes, save_weights

    torch.manual_seed(0)
    lm, codec = LM(SMALL), Encodec(ENCODEC_32)
    init_weights(lm)
    codec.quantiser.books.normal_()
    checkpoint = outdir / "random.safetensors"
    weights = {"lm": lm.state_dict(), "codec": codec.state_dict()}
    notes = {"source": "random weights of the published size", "licence": "CC0-1.0", "delays": [0, 1, 2, 3]}
    save_weights(checkpoint, Sizes(codec.config, lm.config), weights, "", {**notes, "keep": 600})
    del lm, codec, weights
    gc.collect()
    export_musicgen(checkpoint, outdir / "int4", "int4")
    checkpoint.unlink()
    return {"builds": ["int4"]}


def _musicgen_live(outdir: Path) -> dict[str, object]:
    """A conducted language model with words, and the causal codec, as the recipe ``musicgen_live`` makes them."""
    from export.graphs.musicgen.bundle import export as export_musicgen
    from training.models.encodec import ENCODEC_LIVE, Encodec
    from training.models.musicgen import LM, MusicgenConfig, init_weights
    from training.models.musicgen_files import Sizes, save_weights
    from training.models.t5 import T5Config, T5Encoder

    torch.manual_seed(0)
    sizes = T5Config(pieces=len(_PIECES), width=128, heads=4, head=32, inner=512, layers=2)
    config = MusicgenConfig(
        width=256, layers=6, entries=ENCODEC_LIVE.entries, text=sizes.width, rotary=True, features=STEP_FEATURES,
        character=len(CHARACTER), window=384,
    )  # fmt: skip
    lm, codec, text = LM(config), Encodec(ENCODEC_LIVE), T5Encoder(sizes)
    init_weights(lm)
    codec.quantiser.books.normal_()
    checkpoint = outdir / "random.safetensors"
    weights = {"lm": lm.state_dict(), "codec": codec.state_dict(), "text": text.state_dict()}
    notes: dict[str, object] = {"source": "random weights of the starter's size", "licence": "CC0-1.0"}
    notes |= {"delays": [0, 1, 2, 3], "frames": 512, "text_length": 24, "guided": GUIDED_FEATURES}
    save_weights(checkpoint, Sizes(codec.config, lm.config, sizes), weights, _TOKENIZER, notes)
    export_musicgen(checkpoint, outdir / "int8", "int8")
    checkpoint.unlink()
    return {"builds": ["int8"]}


def _transformers() -> dict[str, object]:
    """Steps a second after a prompt of 5 s, without the codec, in fp32."""
    import importlib

    peer = importlib.import_module("transformers")  # only for comparison: nothing of ours needs it
    kinds = peer.models.musicgen.configuration_musicgen
    config = kinds.MusicgenDecoderConfig(
        vocab_size=2048, hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, ffn_dim=4096,
        activation_function="gelu", num_codebooks=4, pad_token_id=2048, bos_token_id=2048,
    )  # fmt: skip
    model = peer.MusicgenForCausalLM(config).eval()
    rates = {}
    with torch.inference_mode():
        for name, batch in (("musicgen unguided steps, decoding", 1), ("musicgen guided steps, decoding", 2)):
            text = torch.zeros(batch, 16, 1024)
            ids = torch.randint(0, 2048, (4 * batch, _PROMPT))
            made = model(input_ids=ids, encoder_hidden_states=text, use_cache=True)
            took_s = []
            for _ in range(_STEPS):
                begun = time.perf_counter()
                made = model(
                    input_ids=ids[:, :1], encoder_hidden_states=text, use_cache=True,
                    past_key_values=made.past_key_values,
                )  # fmt: skip
                took_s.append(time.perf_counter() - begun)
            rates[name] = 1.0 / statistics.median(took_s)
    return {"peer": f"transformers {peer.__version__}, fp32, no codec", "values": rates}


_MADE: Final[Mapping[str, Callable[[Path], Mapping[str, object]]]] = {
    "musika": _musika, "musicgen": _musicgen, "musicgen_live": _musicgen_live,
}  # fmt: skip
_MEASURED: Final[Mapping[str, Callable[[], Mapping[str, object]]]] = {"musika": _torch, "musicgen": _transformers}


if __name__ == "__main__":
    sys.exit(main())
