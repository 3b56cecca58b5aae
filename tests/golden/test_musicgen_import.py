"""A checkpoint as it is published, imported, exported and played by the engine, says what its own program says.

The program is Hugging Face transformers, the weights are random ones of tiny networks with the published layout, made
here: nothing is stored. Measured: greedy codes equal for 200 steps, guided and not; logits within 1e-5 of each other;
decoded sound within 1e-6; codes of sound equal.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.bundles.bundle import describe, open_model
from engine.models.musicgen.model import Musicgen, MusicgenControls
from engine.music.codes import MONO_DELAYS, delayed
from export.__main__ import main
from tests.tiny_musicgen import TOKENIZER

transformers: Any = pytest.importorskip("transformers")

ENTRIES, STEPS = 64, 200
PIECES = [2, 4, 3]
TEXT = "slow piano fast"


def codec_config(**changes: Any) -> Any:
    return transformers.EncodecConfig(
        **{
            "num_filters": 4, "hidden_size": 8, "codebook_size": ENTRIES, "codebook_dim": 8, "sampling_rate": 32000,
            "upsampling_ratios": [8, 5, 4, 4], "target_bandwidths": [1.2], "use_causal_conv": False,
            "use_conv_shortcut": False, "pad_mode": "reflect", "num_lstm_layers": 2, "audio_channels": 1, **changes,
        }
    )  # fmt: skip


def decoder_config(kind: Any, books: int) -> Any:
    return kind(
        vocab_size=ENTRIES, hidden_size=128, num_hidden_layers=3, num_attention_heads=2, ffn_dim=512,
        activation_function="gelu", pad_token_id=ENTRIES, bos_token_id=ENTRIES, num_codebooks=books,
        audio_channels=books // 4,
    )  # fmt: skip


def published(kind: str) -> Any:
    """A tiny model of Hugging Face's with large random weights."""
    torch.manual_seed(3)
    text = transformers.T5Config(vocab_size=8, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4)
    books = 8 if kind == "stereo" else 4
    models = transformers.models
    if kind == "melody":
        decoder = decoder_config(
            models.musicgen_melody.configuration_musicgen_melody.MusicgenMelodyDecoderConfig, books
        )
        whole, model = transformers.MusicgenMelodyConfig, transformers.MusicgenMelodyForConditionalGeneration
    else:
        decoder = decoder_config(models.musicgen.configuration_musicgen.MusicgenDecoderConfig, books)
        whole, model = transformers.MusicgenConfig, transformers.MusicgenForConditionalGeneration
    parts = {"text_encoder": text.to_dict(), "audio_encoder": codec_config().to_dict(), "decoder": decoder.to_dict()}
    made = model(whole(**parts)).eval()
    for name, value in made.named_parameters():
        if "audio_encoder" not in name:
            value.data.normal_(0.0, 0.1)
    for layer in made.audio_encoder.quantizer.layers:
        layer.codebook.embed.normal_(0.0, 0.3)
    return made


def played(folder: Path, kind: str, build: str = "fp32") -> tuple[Any, Musicgen]:
    theirs = published(kind)
    theirs.save_pretrained(folder / "theirs")
    (folder / "theirs" / "tokenizer.json").write_text(TOKENIZER)
    assert main(["import", "musicgen", str(folder / "theirs"), str(folder / "ours.safetensors")]) == 0
    assert main(["export", "musicgen", str(folder / "ours.safetensors"), str(folder / kind), "--build", build]) == 0
    return theirs, open_model(str(folder / kind), "continue")


@pytest.fixture(scope="module", params=["mono", "stereo", "melody"])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Musicgen]:
    return played(tmp_path_factory.mktemp(request.param), request.param)


def context_of(theirs: Any, model: Musicgen) -> torch.Tensor:
    """What their model attends to, told and not told."""
    pieces = torch.tensor([PIECES])
    text = theirs.enc_to_dec_proj(theirs.text_encoder(pieces).last_hidden_state)
    if not model.facts.prefix:
        return torch.cat([text, torch.zeros_like(text)])
    silence = torch.zeros(1, model.facts.chroma_frames, 12)
    silence[:, :, 0] = 1.0
    melody = theirs.audio_enc_to_dec_proj(silence)
    return torch.cat([torch.cat([melody, text], dim=1), torch.cat([melody, torch.zeros_like(text)], dim=1)])


def logits_of(theirs: Any, model: Musicgen, codes: torch.Tensor, rows: int) -> torch.Tensor:
    """[rows, K, S, entries] for a sequence [K, S], all of it at once."""
    context, books = context_of(theirs, model)[:rows], len(codes)
    ids = codes[None].expand(rows, -1, -1).reshape(rows * books, -1)
    out = theirs.decoder(input_ids=ids, encoder_hidden_states=context).logits
    logits: torch.Tensor = out.reshape(rows, books, -1, ENTRIES)[:, :, -codes.shape[1] :]
    return logits


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_greedy_codes_are_theirs_for_two_hundred_steps(both: tuple[Any, Musicgen], guidance: float) -> None:
    theirs, model = both
    rows, frames = 2 if guidance != 1.0 else 1, STEPS - 3
    prompt = np.random.default_rng(0).integers(0, ENTRIES, (model.facts.codebooks, 12))
    state = model.begin(model.conditions(TEXT, guided=rows == 2), prompt, frames=frames)
    controls, made = MusicgenControls(temperature=0.0, guidance=guidance), []
    while not state.ended:
        frame = model.step(state, controls)
        made += [] if frame is None else [frame]
    codes = np.concatenate([prompt, np.stack(made, axis=1)], axis=1)
    plan = delayed(codes.shape[1], model.facts.delays)
    sequence = plan.sequence(codes, ENTRIES)
    with torch.no_grad():
        logits = logits_of(theirs, model, torch.from_numpy(sequence[:, :-1]), rows)
    wanted = logits[0] if rows == 1 else logits[1] + guidance * (logits[0] - logits[1])
    drawn = plan.unknown(12)[:, 1:]
    assert drawn.any(axis=0).sum() == STEPS
    assert np.array_equal(wanted.argmax(dim=2).numpy()[drawn], sequence[:, 1:][drawn])
    assert len(np.unique(codes[:, 12:])) > 20


def test_logits_of_prompts_and_of_steps_are_theirs(both: tuple[Any, Musicgen]) -> None:
    theirs, model = both
    codes = np.random.default_rng(1).integers(0, ENTRIES, (model.facts.codebooks, 20))
    sequence = torch.from_numpy(delayed(20, model.facts.delays).sequence(codes, ENTRIES))
    for guided, rows in ((True, 2), (False, 1)):
        for known in (20, 5):
            state = model.begin(model.conditions(TEXT, guided=guided), codes[:, :known])
            model.prefill(state)
            state.codes[:, state.margin : state.margin + 20] = codes
            while state.steps < 21:
                state.steps += 1
                model.prefill(state)
            with torch.no_grad():
                wanted = logits_of(theirs, model, sequence[:, :21], rows)[:, :, -1].numpy()
            assert np.abs(state.cache.logits - wanted).max() < 1e-3 * wanted.std()


def test_sound_is_theirs_in_both_directions(both: tuple[Any, Musicgen]) -> None:
    theirs, model = both
    rng = np.random.default_rng(2)
    audio = theirs.audio_encoder
    codes = rng.integers(0, ENTRIES, (1, 4, 70))
    sound = (0.2 * rng.standard_normal((1, 1, 640 * 70))).astype(np.float32)
    with torch.no_grad():
        heard = audio.decode(torch.from_numpy(codes)[None], [None]).audio_values.numpy()
        said = audio.encode(torch.from_numpy(sound), bandwidth=1.2).audio_codes[0].numpy()
    assert np.abs(model.codec.decode(codes) - heard).max() < 1e-4
    assert heard.std() > 1e-4
    assert (model.codec.encode(sound) == said).mean() >= 0.999


def test_words_are_theirs(both: tuple[Any, Musicgen]) -> None:
    theirs, model = both
    with torch.no_grad():
        wanted = theirs.text_encoder(torch.tensor([PIECES])).last_hidden_state.numpy()
    assert model.words is not None
    vectors, mask = model.words.vectors(TEXT)
    assert np.abs(vectors - wanted).max() < 1e-4 * wanted.std()
    assert mask.tolist() == [[1.0, 1.0, 1.0]]


def test_the_licence_of_published_weights_goes_along(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    played(tmp_path, "mono", "int4")
    info = describe(str(tmp_path / "mono"))
    assert "CC-BY-NC-4.0" in info.licence
    assert "CC-BY-NC-4.0" in capsys.readouterr().out
    assert info.build == "int4"
    assert info.facts["delays"] == list(MONO_DELAYS)
    assert json.loads((tmp_path / "mono" / "tokenizer.json").read_text()) == json.loads(TOKENIZER)
