"""Chord progressions by family of styles, as text in C: the arranger's harmony draws from them and transposes.

A line is ``MODE: CHORDS`` with one bar between two lines; loops of 4, 8, 12 or 16 bars.
"""

from typing import Final

__all__ = ["COLOURS", "TEXT"]

TEXT: Final = """
pop
major: C | G | Am | F
major: C | Am | F | G
major: Am | F | C | G
major: F | G | Em | Am | F | G | C | C
major: C | G/B | Am | C/G | F | C/E | Dm7 | G7sus4 G7
major: C | Em | F | Fm
major: C | Cmaj7 | C7 | F | Fm6 | C/G | G7sus4 | C
major: C | Gaug | Am | D7 | F | F#dim | C/G | G
major: Csus2 | C | Gsus4 | G | Am7 | F | Dm7 | Gsus4 G
minor: Cm | Ab | Eb | Bb
minor: Cm | Bb | Ab | G7
minor: Cm | Fm | Ab | Gsus4 G
major: C | Edim | F | Fm | C/G | Bdim | C | G
minor: Ab | Bb | Cm | Cm | Ab | Bb | Eb | Gaug
dorian: Cm | F | Cm | F

rock
major: C | F | G | F
major: C | Bb | F | C
mixolydian: C | Bb | F | C
mixolydian: C | C | Bb | F/A
major: C | G/B | Am | G | F | C/E | Dm | Gsus4 G
major: C5 | F5 | C5 | G5
major: C | Caug | C6 | C7 | F | Fm | C | G
minor: Cm | Bb | Ab | Bb
minor: Cm | Eb | Bb | F
minor: C5 | Eb5 | F5 | Ab5 Bb5
minor: Cm | Cmmaj7 | Cm7 | F | Ab | Eb | Dm7b5 | G7
dorian: Cm7 | F | Cm7 | F

blues
mixolydian: C7 | F7 | C7 | C7 | F7 | F7 | C7 | C7 | G7 | F7 | C7 | G7
mixolydian: C7 | C7 | C7 | C7 | F7 | F7 | C7 | C7 | G7 | F7 | C7 | C7
mixolydian: C7 | F7 F#dim7 | C7/G | C9 | F9 | F#dim7 | C7 | A7 | Dm7 | G7 | C7 A7 | D7 Gaug
mixolydian: C6 | C6 | C7 | C7 | F9 | F9 | C6 | C6 | G9 | F9 | C6 | Gaug
minor: Cm7 | Cm7 | Cm7 | Cm7 | Fm7 | Fm7 | Cm7 | Cm7 | Ab7 | G7 | Cm7 | G7
minor: Cm6 | Fm6 | Cm6 | Cm6 | Fm6 | Fm6 | Cm6 | Cm6 | Dm7b5 | G7 | Cm6 | G7
mixolydian: C7 | C7/E | F7 | F#dim | C/G | G7sus4 G7 | C7 F7 | C7 G7

jazz
major: Dm7 | G7 | Cmaj7 | Cmaj7
major: Cmaj7 A7 | Dm7 G7 | Em7 A7 | Dm7 G7
major: Cmaj7 | C#dim7 | Dm7 | G9 | Em7b5 | A7 | Dm9 | G7sus4 G7
major: C6 | Ebdim7 | Dm7 | G7 | Cmaj7 | C7 | Fmaj7 | Fm6
major: C69 | A7 | D9 | G9 | C69 Ebdim7 | Dm7 Gaug | C6 A7 | Dm7 G7
major: Fmaj7 | Fm7 Bb9 | Cmaj7 | A7 | Dm7 | G7sus4 | C69 | C69
major: Em7b5 | A7 | Dm7 | G7 | Gm7 | C9 | Fmaj9 | Fmmaj7 Bb9
minor: Dm7b5 | G7 | Cm6 | Cm6
minor: Cm | Cmmaj7 | Cm7 | Cm6 | Fm7 | Dm7b5 G7 | Cmmaj7 | Dm7b5 Gaug
minor: Fm7 | Bb7 | Ebmaj7 | Abmaj7 | Dm7b5 | G7 | Cm6 | Cmmaj7
dorian: Cm9 | Cm9 | F9 | F9
dorian: Cm7 | Cm7 | Cm7 | Cm7 | C#m7 | C#m7 | Cm7 | Cm7
lydian: Cmaj7 | D/C | Cmaj7 | Bm7 | Cmaj9 | D9 | Bm7 | Em7

soul
major: Cmaj7 | Am7 | Dm7 | G7sus4
major: C | Dm7 | Em7 | F/G
major: Fmaj7 | Em7 | Dm7 | Cmaj7
major: C | Caug | F | Fm6 | C/G | A7 | Dm7 | G7sus4 G9
major: Fmaj9 | Em7 Am7 | Dm9 | G9 | Cmaj9 | Bm7b5 E7 | Am7 | Gm7 C9
major: C | E7 | Am | C7 | F | F#dim7 | C/G | G7sus4
major: C6 | Am7 | F69 | G9
minor: Cm7 | Fm7 | Cm7 | G7
minor: Cm9 | Abmaj7 | Fm9 | G7
minor: Abmaj7 | G7 | Cm7 | Ebmaj7
dorian: Cm7 | F9 | Cm7 | F9
dorian: Cm9 | Cm9 | Cm9 | Cm9

latin
major: C6 | C6 | D9 | D9 | Dm7 | G7 | C69 | Dm7 G7
major: Cmaj7 | Am7 | Dm7 | G7
major: C | F | G7 | F
major: Cmaj7 | C#dim7 | Dm7 | Gaug | Em7 | Ebdim7 | Dm9 | G9
minor: Cm | Fm | G7 | Cm
minor: Cm6 | Dm7b5 G7 | Cm6 | G7
minor: Cm | Bb | Ab | G7
minor: Cm7 | Fm7 Bb7 | Ebmaj7 | Abmaj7 | Dm7b5 | G7 | Cmmaj7 | Cm6
mixolydian: C7 | Bb7 | C7 | Bb7

folk
major: C | F | C | G
major: C | F | Bdim | C
major: C | G/B | Am | Em/G | F | C/E | F | G
major: C | Am | Dm | G7
major: C | Cadd9 | F | Csus2 | Am7 | G6 | Fmaj7 | Gsus4 G
mixolydian: C | Bb | C | Bb | F | C | Bb | C
dorian: Cm | Bb | Cm | Bb
dorian: Cm | Eb | Bb | Cm
minor: Cm | Gm | Ab | Eb | Fm | Cm | Ab | Bb
minor: Cm | Cm/Bb | Ab | G
major: Csus4 C | F | Dm | Gsus4 G | Em | Am | F Fm | C

country
major: C | F | C | G7
major: C | C7 | F | C | C/G | G7 | C F | C G7
major: C | C/E | F | F#dim | C/G | A7 | D7 | G7
major: C | C#dim | Dm7 | G7
major: F | C | G | C
major: C6 | Am7 | Dm7 | G7
mixolydian: C | Bb | F | C
major: C | Em | F | C | Am | D7 | F | G7sus4 G
minor: Cm | Bb | Ab | G7

classical
major: C | G7 | G7 | C
major: C | F | G7 | C | Am | Dm | G7 | C
major: C | G/B | Am | Em | F | C/E | Dm7 | G
major: C | Edim | F | F#dim7 | C/G | G7 | C | G
major: C | E/B | Am | C7/G | F | Ddim | C/G | Gsus4 G7
minor: Cm | G7/B | Cm | Fm | Cm/G | G7 | Cm | G7
minor: Cm | Ab | Fm6 | G7
minor: Cm | Bdim7 | Cm | Dm7b5 | G7 | Ab | Ddim | G7
minor: Cm | Cmadd9 | Ab | Abmaj7 | Fm | Fmadd9 | Gsus4 | G
minor: Cm | Caug | Eb/Bb | Am7b5 | Abmaj7 | Fm6 | G7sus4 | G7
lydian: C | D/C | C | D/C
major: C | Ab | C | Fm | Ab | Bb | C | Csus4 C

electronic
minor: Cm | Ab | Bb | Gm
minor: Cm7 | Cm7 | Abmaj7 | Bb
minor: Fm9 | Cm9 | Abmaj7 | Gm7
minor: Cm | Ddim | Eb | Bb
minor: Cm | Cm | Cm | Cm
minor: Cmadd9 | Ab69 | Ebadd9 | Bbsus4
minor: Cm7 | Ebmaj7 | Fm7 | Abmaj7 G7sus4
dorian: Cm9 | F9 | Cm9 | F9
phrygian: Cm | Db | Cm | Db
phrygian: C5 | C5 | Db5 | Bbm
major: Fmaj9 | G6 | Am7 | Em7
major: C | G | Dm7 | F
mixolydian: C7sus4 | Bbmaj7 | C7sus4 | F69

modal
lydian: Cmaj7 | D/C | Cmaj9 | D
dorian: Cm9 | F/C | Cm7 | Ebmaj7
major: Cmaj9 | Fmaj7/C | Cadd9 | G6
major: Csus2 | Fsus2 | Csus2 | Gsus4
mixolydian: C7sus4 | Bb69 | C7sus4 | F/A
minor: Cmadd9 | Abmaj7 | Ebmaj9 | Bbsus2
phrygian: Cm | Dbmaj7 | Cm | Bbm7
locrian: Cdim | Db | Cdim | Ebm
locrian: Cm7b5 | Gbmaj7 | Cm7b5 | Dbmaj7
minor: Cmmaj7 | Cm6 | Cmmaj7 | Cm6
lydian: Cmaj7 | F#m7b5 | Gmaj7 | Cmaj7

metal
minor: C5 | Ab5 | Bb5 | C5
minor: Cm | Ab | Eb | Bb
phrygian: C5 | Db5 | C5 | Bb5
phrygian: Cm | Db | Eb | Db
minor: C5 | C5 | Gb5 | F5
locrian: C5 | Gb5 | F5 | Db5
minor: Cm | Ddim | Eb | G | Ab | Bdim7 | Cm | Gaug
dorian: C5 | Eb5 | F5 | C5
"""

# Of a chord as written: what it becomes, and how likely; the rest stays. By family, else of "" (all others).
COLOURS: Final = {
    "": {
        "maj": {"add9": 0.1, "maj7": 0.05, "sus2": 0.06, "sus4": 0.04, "6": 0.03, "aug": 0.02},
        "min": {"min7": 0.14, "minadd9": 0.1, "min6": 0.02, "minmaj7": 0.01},
        "7": {"7sus4": 0.12, "9": 0.1, "aug": 0.03},
        "maj7": {"maj9": 0.15, "69": 0.05, "6": 0.05},
        "min7": {"min9": 0.15, "minadd9": 0.05},
        "dim": {"dim7": 0.1},
        "dim7": {"dim": 0.3},
    },
    "jazz": {
        "maj": {"maj7": 0.3, "6": 0.2, "69": 0.2},
        "maj7": {"maj9": 0.2, "69": 0.15, "6": 0.12},
        "min": {"minmaj7": 0.2, "min6": 0.25, "min7": 0.2},
        "min7": {"min9": 0.25, "min6": 0.04},
        "7": {"9": 0.3, "7sus4": 0.1, "aug": 0.06},
        "9": {"7": 0.2, "7sus4": 0.1},
        "min6": {"minmaj7": 0.3},
        "dim7": {"dim": 0.35},
        "min7b5": {"dim": 0.15},
    },
    "rock": {"maj": {"5": 0.3, "sus4": 0.08, "add9": 0.06}, "min": {"5": 0.35, "min7": 0.08}},
    "metal": {"maj": {"5": 0.5}, "min": {"5": 0.5, "minadd9": 0.06}},
    "classical": {
        "maj": {"sus4": 0.05, "add9": 0.04, "aug": 0.03},
        "min": {"minadd9": 0.08, "min6": 0.05, "minmaj7": 0.03},
        "7": {"7sus4": 0.08},
        "dim": {"dim7": 0.1},
    },
}
