"""Parts of electronic styles on our own synthesizer: the voices of composed pieces, played by a band's notes."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from engine.music.arrays import F32
from training.data.band.fluid import SAMPLE_RATE, PlayedNote
from training.data.piece import Style
from training.data.voices import Sound, drum, tone

__all__ = ["SYNTHESIZED", "render_synth"]

SYNTHESIZED: Final = {"drum": 24, "bass": 38, "piano": 90, "string": 89, "guitar": 81, "lead": 80}
"""Roles that the synthesizer can play, and the General MIDI program (or kit) that its sound is nearest to."""

_TONES: Final = {"bass": ("bass", "sub"), "piano": ("stab", "pad"), "string": ("warm", "pad"), "guitar": ("arp",)}
_DRUMS: Final = {
    **dict.fromkeys((35, 36), "kick"), **dict.fromkeys((38, 39, 40), "clap"),
    **dict.fromkeys((42, 44), "hat"), **dict.fromkeys((54, 69, 70, 82), "shaker"),
    **dict.fromkeys((46, 49, 51, 53, 55, 57, 59), "open_hat"), **dict.fromkeys((41, 43, 45, 47, 48, 50), "pulse"),
}  # fmt: skip


def render_synth(role: str, notes: Sequence[PlayedNote], duration_s: float, rng: np.random.Generator) -> F32:
    """Play a part.

    Args:
        role: one of `SYNTHESIZED`.
        notes: in any order.
        duration_s: of the sound; what rings longer is cut.
        rng: draws the sound.
    Returns:
        [2, N] float32 at 44.1 kHz.
    """
    look = Style.draw(rng)
    brightness = float(rng.uniform(0.25, 0.95))
    instrument = str(rng.choice(_TONES.get(role, ("arp", "stab"))))
    spread = 0.0 if role in ("bass", "drum") else float(rng.uniform(0.1, 0.8))
    out = np.zeros((2, round(duration_s * SAMPLE_RATE)), np.float32)
    sounds: dict[tuple[int, int], Sound] = {}
    for note in notes:
        key = (note.pitch, 0 if role == "drum" else round(50.0 * note.length_s))
        sound = sounds.get(key)
        if sound is None:
            sound = sounds[key] = _sound(role, instrument, note, look, brightness)
        start = round(note.start_s * SAMPLE_RATE)
        cut = sound[: max(0, out.shape[1] - start)] * np.float32((note.velocity / 127.0) ** 1.5)
        # Neighbouring tones lie on opposite sides, a pitch always on the same.
        angle = np.pi / 4.0 * (1.0 + spread * (((5 * note.pitch) % 12) / 5.5 - 1.0))
        out[0, start : start + len(cut)] += cut * np.float32(np.cos(angle))
        out[1, start : start + len(cut)] += cut * np.float32(np.sin(angle))
    return out


def _sound(role: str, instrument: str, note: PlayedNote, look: Style, brightness: float) -> Sound:
    if role == "drum":
        return drum(_DRUMS.get(note.pitch, "rim"), look, brightness, SAMPLE_RATE)
    return tone(instrument, note.pitch, max(note.length_s, 0.02), look, brightness, SAMPLE_RATE)
