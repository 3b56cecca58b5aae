"""What a codec gives back of real sounds: waves, mel bands, stereo image and speed.

python -m tests.measure.codec CHECKPOINT SOUND_OR_FOLDER... [--seconds 10] [--most 24] [--out FOLDER]

The middle of each sound goes through all codebooks of a codec's checkpoint (its whole band: stereo at its own rate).
Printed are, for each sound and on average: the scale-invariant ratio of signal to distortion (SI-SDR), the mean
distance of mel bands, and by how much the level of the side signal beside the middle has changed; and how many times
faster than real time encoding and decoding are together on one core. `--out` keeps what was made, for other judges.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

import numpy as np
import soundfile
import torch

from training.data.audio import find_audio, read_stereo
from training.evaluate.codes import mel_distance_db, si_snr_db
from training.models.codecs import SoundCodec
from training.models.musicgen_files import load_codec


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("sounds", nargs="+", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each sound, from its middle (10)")
    parser.add_argument("--most", type=int, default=24, help="sounds of each folder, in order of name (24)")
    parser.add_argument("--codebooks", type=int, default=0, help="the first of them (all)")
    parser.add_argument("--out", type=Path, help="folder for what is given back")
    parsed = parser.parse_args(argv)
    torch.set_num_threads(1)
    codec, _ = load_codec(parsed.checkpoint)
    paths = [path for folder in parsed.sounds for path in find_audio(folder)[: parsed.most]]
    rows = [_row(codec, path, parsed) for path in paths]
    for path, row in zip(paths, rows, strict=True):
        print(f"{path.name:40} " + "  ".join(f"{name} {value:7.2f}" for name, value in row.items()))
    averages = {name: mean(row[name] for row in rows) for name in rows[0]}
    json.dump({"sounds": len(rows), **averages}, sys.stdout)
    print()
    return 0


def _row(codec: SoundCodec, path: Path, parsed: argparse.Namespace) -> dict[str, float]:
    config = codec.config
    whole = read_stereo(path, config.sample_rate)
    length = min(whole.shape[1], round(parsed.seconds * config.sample_rate)) // config.hop * config.hop
    first = (whole.shape[1] - length) // 2
    sound = torch.from_numpy(np.ascontiguousarray(whole[:, first : first + length]))[None]
    given = sound if config.channels == 2 else sound.mean(dim=1, keepdim=True)
    begun_s = time.perf_counter()
    with torch.no_grad():
        made = codec.decode(codec.encode(given, parsed.codebooks or None))
    took_s = time.perf_counter() - begun_s
    if parsed.out is not None:
        parsed.out.mkdir(parents=True, exist_ok=True)
        soundfile.write(parsed.out / f"{path.stem}.wav", made[0].clamp(-1, 1).T.numpy(), config.sample_rate)
    return {
        "si_sdr_db": float(si_snr_db(made, given)),
        "mel_db": float(mel_distance_db(made, given, config.sample_rate)),
        "side_db": _side_db(made) - _side_db(given),
        "realtime": length / config.sample_rate / took_s,
    }


def _side_db(sound: torch.Tensor) -> float:
    """Level of the side signal beside the middle, at least -60 dB: below that nobody hears it."""
    if sound.shape[1] == 1:
        return -60.0
    middle, side = (sound[:, 0] + sound[:, 1]).square().mean(), (sound[:, 0] - sound[:, 1]).square().mean()
    return max(-60.0, float(10.0 * torch.log10((side + 1e-12) / (middle + 1e-12))))


if __name__ == "__main__":
    sys.exit(main())
