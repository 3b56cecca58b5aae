"""A sound font of a few kilobytes made in code: one looped tone for every preset; tests need no font installed."""

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

RATE = 44100


def chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def group(kind: bytes, *chunks: bytes) -> bytes:
    return chunk(b"LIST", kind + b"".join(chunks))


def name20(text: str) -> bytes:
    return text.encode()[:20].ljust(20, b"\0")


def write_font(path: Path, presets: Mapping[tuple[int, int], tuple[int, int]]) -> Path:
    """A SoundFont 2 file.

    Args:
        presets: (bank, program) to the lowest and highest key that sounds.
    """
    cycle = np.round(8000.0 * np.sin(2.0 * np.pi * np.arange(4410) / 100.0)).astype("<i2")
    wave = cycle.tobytes() + b"\0" * 92
    heads, preset_bags, preset_gens = b"", b"", b""
    insts, bags, gens = b"", b"", b""
    for number, ((bank, program), (low, high)) in enumerate(sorted(presets.items())):
        heads += name20(f"Tone {bank} {program}") + struct.pack("<HHHIII", program, bank, number, 0, 0, 0)
        preset_bags += struct.pack("<HH", number, 0)
        preset_gens += struct.pack("<HH", 41, number)  # instrument
        insts += name20(f"Tone {number}") + struct.pack("<H", number)
        bags += struct.pack("<HH", 3 * number, 0)
        gens += struct.pack("<HBB", 43, low, high) + struct.pack("<HH", 54, 1) + struct.pack("<HH", 53, 0)
    count = len(presets)
    heads += name20("EOP") + struct.pack("<HHHIII", 0, 0, count, 0, 0, 0)
    preset_bags += struct.pack("<HH", count, 0)
    insts += name20("EOI") + struct.pack("<H", count)
    bags += struct.pack("<HH", 3 * count, 0)
    sample = name20("Tone") + struct.pack("<IIIIIBbHH", 0, 4410, 100, 4300, RATE, 69, 0, 0, 1)
    last = name20("EOS") + struct.pack("<IIIIIBbHH", 0, 0, 0, 0, 0, 0, 0, 0, 0)
    info = group(
        b"INFO", chunk(b"ifil", struct.pack("<HH", 2, 1)), chunk(b"isng", b"EMU8000\0"), chunk(b"INAM", b"Tiny\0\0")
    )
    tables = (
        (b"phdr", heads), (b"pbag", preset_bags), (b"pmod", b"\0" * 10), (b"pgen", preset_gens + b"\0" * 4),
        (b"inst", insts), (b"ibag", bags), (b"imod", b"\0" * 10), (b"igen", gens + b"\0" * 4), (b"shdr", sample + last),
    )  # fmt: skip
    body = b"sfbk" + info + group(b"sdta", chunk(b"smpl", wave)) + group(b"pdta", *(chunk(*t) for t in tables))
    path.write_bytes(chunk(b"RIFF", body))
    return path
