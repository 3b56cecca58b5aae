"""Published checkpoints: where they are, under which licence, whom to cite.

A checksum is given only where we have computed it from the file itself. None means: not known, so the origin of a
download cannot be proved; `export.rename` still refuses files whose layers or shapes differ.
"""

from dataclasses import dataclass
from typing import Final

__all__ = ["SOURCES", "Source", "table"]

_MUSIKA: Final = (
    "Pasini, Schlueter: Musika! Fast Infinite Waveform Music Generation. ISMIR 2022. https://arxiv.org/abs/2208.08706"
)
_GETMUSIC: Final = (
    "Lv et al.: GETMusic: Generating Any Music Tracks with a Unified Representation and Diffusion Framework. 2023. "
    "https://arxiv.org/abs/2305.10841"
)


_MUSICGEN: Final = (
    "Copet et al.: Simple and Controllable Music Generation. NeurIPS 2023. https://arxiv.org/abs/2306.05284"
)


@dataclass(frozen=True, kw_only=True)
class Source:
    """One published checkpoint.

    Args:
        name: what we call it.
        family: the model, a file name in ``export.rename``.
        url: page that the files are on.
        files: which of them to fetch.
        sha256: file to checksum, where known.
        licence: of the weights.
        citation: what to cite.
        note: what else to know.
    """

    name: str
    family: str
    url: str
    files: tuple[str, ...]
    sha256: tuple[tuple[str, str], ...] | None = None
    licence: str
    citation: str
    note: str = ""


SOURCES: Final = (
    Source(
        name="musika-ae",
        family="musika",
        url="https://huggingface.co/marcop/musika_ae",
        files=("enc.h5", "enc2.h5", "dec2.h5", "dec.h5"),
        licence="MIT",
        citation=_MUSIKA,
        note="44.1 kHz autoencoder, trained on SXSW and VCTK; put its files beside those of a generator",
    ),
    Source(
        name="musika-techno",
        family="musika",
        url="https://huggingface.co/marcop/musika_techno",
        files=("gen_ema.h5", "critic.h5"),
        licence="MIT",
        citation=_MUSIKA,
        note="trained on 10,190 techno tracks",
    ),
    Source(
        name="musika-misc",
        family="musika",
        url="https://huggingface.co/marcop/musika_misc",
        files=("gen_ema.h5", "critic.h5"),
        licence="MIT",
        citation=_MUSIKA,
        note="trained on the SXSW collection, 17,000 songs",
    ),
    Source(
        name="musika-misc-small",
        family="musika",
        url="https://huggingface.co/marcop/musika_misc_small",
        files=("gen_ema.h5", "critic.h5"),
        licence="MIT",
        citation=_MUSIKA,
        note="as musika-misc, patches of 64 latents (5.9 s)",
    ),
    Source(
        name="musika-22-techno",
        family="musika",
        url="https://github.com/marcoppasini/musika/tree/main/22kHz",
        files=("techno/gen_ema.h5", "techno/dec2.h5", "techno/dec.h5", "ae/enc.h5", "ae/enc2.h5"),
        licence="MIT",
        citation=_MUSIKA,
        note="the paper's 22.05 kHz networks; its decoders differ from those in ae",
    ),
    Source(
        name="getmusic",
        family="getmusic",
        url="https://github.com/microsoft/muzic/tree/main/getmusic",
        files=("checkpoint.pth", "dict.txt"),
        licence="code and dictionary MIT; none is stated for the weights",
        citation=_GETMUSIC,
        note="the link to the weights has been dead since 2023: for those who have the file",
    ),
    *(
        Source(
            name=f"musicgen-{size}",
            family="musicgen",
            url=f"https://huggingface.co/facebook/musicgen-{size}",
            files=("config.json", "model.safetensors or its parts and index", "tokenizer.json"),
            licence="CC-BY-NC-4.0",
            citation=_MUSICGEN,
            note=note,
        )
        for size, note in (
            ("small", "420 million values, text encoder and codec inside"),
            ("medium", "1.8 billion values; build int8 or int4"),
            ("large", "3.3 billion values; build int4"),
            ("melody", "follows a melody; 1.4 billion values; build int8 or int4"),
            ("stereo-small", "two channels, each in the codec by itself"),
            ("stereo-medium", "two channels; build int8 or int4"),
            ("stereo-large", "two channels; build int4"),
            ("stereo-melody", "two channels, follows a melody; build int8 or int4"),
        )
    ),
    Source(
        name="t5-base",
        family="musicgen",
        url="https://huggingface.co/google-t5/t5-base",
        files=("config.json", "model.safetensors", "tokenizer.json"),
        licence="Apache-2.0",
        citation="Raffel et al.: Exploring the Limits of Transfer Learning. JMLR 2020. https://arxiv.org/abs/1910.10683",
        note="the text encoder that the release's state_dict.bin lacks; put its files into a folder t5-base inside",
    ),
)


def table() -> str:
    """All sources as text, one paragraph each."""
    lines = []
    for source in SOURCES:
        known = "not known" if source.sha256 is None else ", ".join(f"{f} {s}" for f, s in source.sha256)
        lines += [
            f"{source.name}  ({source.family}, {source.licence})",
            f"  {source.url}: {', '.join(source.files)}",
            f"  {source.note}; sha256 {known}",
            f"  {source.citation}",
        ]
    return "\n".join(lines)
