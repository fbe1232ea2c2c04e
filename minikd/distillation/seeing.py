"""Prepares a picture from disk for a network, and records how."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from minikd.console.notices import notice
from minikd.data.ink import Frame, centred, characters_in, ground_of, ink_of
from minikd.data.pictures import channels_first, picture_in, stretched
from minikd.weights import Card

BLANK = 8
"""A picture with a smaller range of grey levels (of 255) shows nothing. A scan of empty paper has a few."""

TURNED = 0.3
"""A notice suggests `--invert` if it brings a picture's brightness, 0 to 1, nearer to the training images' by this.

A photograph is about as near without it.
"""

LARGEST = 2000
"""The pixels of the longer side of a picture in which a character is searched. More pixels do not help."""

Bytes = npt.NDArray[np.uint8]


class PictureSettings(NamedTuple):
    """How pictures are prepared: with light and dark exchanged or not, with characters cut out or not."""

    invert: bool = False
    crop: bool = True


class PreparedPicture(NamedTuple):
    """A picture (C, h, w), what a network sees of it (C, H, W), and how that was made from the picture.

    found, placed: the frame of a character in each of the two, or None if the whole picture was used.
    """

    picture: Bytes
    pixels: Bytes
    how: str
    found: Frame | None = None
    placed: Frame | None = None


def seen_in(image: Path, card: Card, ways: PictureSettings) -> PreparedPicture:
    """Return what a network with this card sees of a picture. A notice says if the picture is not suitable.

    Raises DataError if the file is not a readable picture.
    """
    channels, height, width = card.image
    whole = picture_in(image, channels)
    shrink = min(1, LARGEST / max(whole.size))
    small = stretched(whole, (max(1, round(whole.height * shrink)), max(1, round(whole.width * shrink))))
    picture = inverted_if(channels_first(small), ways.invert)
    fits = whole.size == (width, height)
    if ways.crop and card.ink_box and not (fits and ground_of(picture[0]) < 128):
        if found := character_in(image, picture, card, ways):
            return found
        notice(f"{image} shows no ink: no part of it stands out from its background; the whole picture is used")
    pixels = inverted_if(channels_first(stretched(whole, (height, width))), ways.invert)
    how = "taken as it is" if fits else f"stretched from {whole.width} × {whole.height} to {width} × {height} pixels"
    notice_unusual(pixels, card, image, ways.invert)
    return PreparedPicture(picture, pixels, f"{how}, light and dark inverted" if ways.invert else how)


def inverted_if(pixels: Bytes, invert: bool) -> Bytes:
    """Return the pixels, with light and dark exchanged if `invert` is set."""
    return np.subtract(255, pixels, dtype=np.uint8) if invert else pixels


def character_in(image: Path, picture: Bytes, card: Card, ways: PictureSettings) -> PreparedPicture | None:
    """Return the character in a grey picture (1, h, w), placed as in the training images, or None if there is none."""
    ink, darker = ink_of(picture[0])
    size = card.image[1]
    made = centred(ink, size, card.ink_box)
    if made is None:
        return None
    if (count := characters_in(ink)) > 1:
        notice(
            f"{image} seems to show {count} characters; the models treat them as one, so the answers mean nothing; "
            "give a separate picture for each"
        )
    around = "dark on a bright background, so inverted as by --invert; " if darker != ways.invert else ""
    if darker and ways.invert:
        notice(f"{image} shows light ink on a dark background, which is used as it is: --invert changes nothing")
    how = (
        f"{around}cut out, scaled to {card.ink_box} pixels and centred in {size} × {size} by its mass, as MNIST's "
        "authors did"
    )
    return PreparedPicture(picture, made.plane[None], how, made.found, made.placed)


def notice_unusual(pixels: Bytes, card: Card, image: Path, invert: bool) -> None:
    """Give a notice if a picture shows nothing, or if light and dark seem to be exchanged."""
    low, high = int(pixels.min()), int(pixels.max())
    mean, usual = float(pixels.mean()) / 255, float(np.mean(card.mean))
    how = "leave --invert out" if invert else "give --invert, as for ink on paper"
    again = " once inverted" if invert else ""
    if high - low < BLANK:
        notice(f"{image} is blank: its pixels are all from {low} to {high}, of 0 to 255; the answers mean nothing")
    elif card.on_black and (ground := ground_of(pixels)) >= 128:
        notice(
            f"{image} has a bright background{again}, {ground} of 0 to 255, and the training images have a black one; "
            f"{how}"
        )
    elif abs(mean - usual) - abs(1 - mean - usual) > TURNED:
        notice(
            f"{image} is much too {'light' if mean > usual else 'dark'}{again}: its mean is {mean:.2f} of 0 to 1, the "
            f"training images' {usual:.2f}; {how}"
        )
