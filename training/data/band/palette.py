"""What instruments and styles are called, and how much of a style's timing is people's."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["INSTRUMENTS", "KITS", "human_timing", "instrument_names", "style_names"]


def _read(text: str) -> Mapping[int, tuple[str, ...]]:
    rows = (line.split(maxsplit=1) for line in text.strip().splitlines())
    return MappingProxyType({int(number): tuple(names.split(" | ")) for number, names in rows})


INSTRUMENTS: Final = _read(
    """
    0 piano | grand piano | acoustic piano
    1 bright piano | piano
    2 electric grand piano | electric piano
    3 honky tonk piano | saloon piano | piano
    4 rhodes | electric piano | warm electric piano
    5 fm electric piano | electric piano | bright electric piano
    6 harpsichord
    7 clavinet | clavi
    8 celesta
    9 glockenspiel | bells
    10 music box
    11 vibraphone | vibes
    12 marimba
    13 xylophone
    14 tubular bells | bells
    15 dulcimer
    16 drawbar organ | hammond organ | organ
    17 percussive organ | jazz organ | organ
    18 rock organ | organ
    19 church organ | pipe organ
    20 reed organ | harmonium
    21 accordion
    22 harmonica | mouth harp
    23 bandoneon | tango accordion
    24 nylon guitar | classical guitar | acoustic guitar
    25 steel guitar | acoustic guitar | steel string guitar
    26 jazz guitar | hollow body guitar | electric guitar
    27 clean electric guitar | clean guitar | electric guitar
    28 muted electric guitar | muted guitar | palm muted guitar
    29 overdriven guitar | electric guitar | crunchy guitar
    30 distorted guitar | distortion guitar | heavy guitar
    32 upright bass | double bass | acoustic bass
    33 electric bass | fingered bass | bass guitar
    34 picked bass | electric bass | bass guitar
    35 fretless bass | electric bass
    36 slap bass | electric bass
    37 slap bass | electric bass
    38 synth bass | analog bass
    39 synth bass | deep synth bass
    40 violin | solo violin
    41 viola
    42 cello | solo cello
    43 bowed double bass | contrabass
    44 tremolo strings | strings
    45 pizzicato strings | plucked strings
    46 harp
    47 timpani
    48 strings | string section | string ensemble
    49 slow strings | strings | string ensemble
    50 synth strings | string machine
    51 synth strings | soft synth strings
    52 choir | choir aahs | voices
    53 voice oohs | choir oohs | voices
    54 synth voice | synth choir
    56 trumpet
    57 trombone
    58 tuba
    59 muted trumpet
    60 french horn | horn
    61 brass section | brass | horns
    62 synth brass
    63 synth brass | soft synth brass
    64 soprano sax | saxophone
    65 alto sax | saxophone
    66 tenor sax | saxophone
    67 baritone sax | saxophone
    68 oboe
    69 english horn
    70 bassoon
    71 clarinet
    72 piccolo
    73 flute
    74 recorder
    75 pan flute
    76 blown bottle
    77 shakuhachi
    78 whistle | tin whistle
    79 ocarina
    80 square lead | synth lead | square wave
    81 saw lead | synth lead | sawtooth wave
    82 calliope lead | synth lead
    87 bass and lead | synth lead
    88 new age pad | synth pad | pad
    89 warm pad | synth pad | pad
    90 polysynth | synth chords | synth pad
    91 choir pad | synth pad | pad
    92 bowed pad | glass pad | pad
    94 halo pad | synth pad | pad
    95 sweep pad | synth pad | pad
    98 crystal bells | synth bells
    104 sitar
    105 banjo
    107 koto
    108 kalimba
    109 bagpipes | bagpipe
    110 fiddle | violin
    """
)
"""Names by General MIDI program from 0, the usual name first."""

KITS: Final = _read(
    """
    0 drums | acoustic drums | drum kit
    8 room drums | drums | drum kit
    16 power drums | rock drums | drums
    24 electronic drums | drum machine
    25 analog drum machine | drum machine | 808 drums
    32 jazz drums | drums | jazz kit
    40 brushed drums | brushes | drums with brushes
    48 orchestral percussion | orchestral drums
    """
)
"""Names of drum kits by program of the drum bank."""

_STYLES: Final = {
    "ballad": ("ballad", "slow ballad", "pop ballad"),
    "pop": ("pop", "pop song"),
    "rock": ("rock", "rock song"),
    "hard_rock": ("hard rock", "heavy rock", "rock"),
    "funk": ("funk", "funky groove"),
    "bossa": ("bossa nova", "bossa"),
    "swing": ("swing", "swing jazz", "big band swing"),
    "disco": ("disco", "disco groove"),
    "folk": ("folk", "folk song"),
    "reggae": ("reggae", "roots reggae"),
    "techno": ("techno", "techno track"),
    "march": ("march", "marching band"),
    "latin": ("latin", "latin groove", "salsa"),
    "rnb": ("rnb", "r and b", "rhythm and blues"),
    "country": ("country", "country song"),
    "hiphop": ("hip hop", "hip hop beat"),
    "synthpop": ("synth pop", "synthpop", "eighties pop"),
    "samba": ("samba", "brazilian samba"),
    "jazz": ("jazz", "swing jazz", "jazz combo"),
    "blues": ("blues", "slow blues"),
    "rocknroll": ("rock and roll", "rock n roll", "fifties rock"),
    "waltz": ("waltz", "classical waltz"),
    "country_waltz": ("country waltz", "waltz"),
    "jazz_waltz": ("jazz waltz", "waltz"),
    "ballad_68": ("six eight ballad", "slow ballad", "ballad"),
    "jig_68": ("jig", "irish jig", "folk dance"),
    "polka": ("polka", "folk dance"),
    "soul": ("soul", "soul music"),
    "metal": ("metal", "heavy metal"),
    "house": ("house", "house music"),
    "drum_and_bass": ("drum and bass", "jungle"),
    "trap": ("trap", "trap beat"),
    "lofi": ("lo fi", "lofi hip hop", "lo fi beat"),
    "ambient": ("ambient", "ambient music", "soundscape"),
    "film": ("film music", "film score", "cinematic"),
    "folk_guitar": ("acoustic folk", "singer songwriter", "folk"),
    "chiptune": ("chiptune", "eight bit music", "video game music"),
    "ska": ("ska", "ska groove"),
}
_MACHINES: Final = {
    "techno": 0.0, "house": 0.0, "chiptune": 0.0, "synthpop": 0.15, "trap": 0.1, "drum_and_bass": 0.1, "disco": 0.5,
    "hiphop": 0.4, "lofi": 0.6, "metal": 0.6,
}  # fmt: skip
"""Styles that machines play in part: 0 exactly as written .. 1 as people do, which all others are."""


def style_names(style: str) -> tuple[str, ...]:
    """A style of the arranger in words, the usual first."""
    return _STYLES.get(style, (style.replace("_", " "),))


def human_timing(style: str) -> float:
    """0 a machine's timing .. 1 people's."""
    return _MACHINES.get(style, 1.0)


def instrument_names(program: int, drums: bool) -> tuple[str, ...]:
    """What an instrument or a drum kit is called, the usual name first."""
    return (KITS if drums else INSTRUMENTS)[program]
