"""The fonts of PDF documents, which come as packages, and the characters that they show.

Noto Sans and the fonts of its family cover the scripts of letters. Those of Chinese, Japanese and Korean take 33 MB and
come with the extra `cjk`. Typst shapes the text and knows where it runs from right to left.
"""

import unicodedata
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import uharfbuzz
from innkeeper.protocol.billing.refusals import FormatUnavailable
from innkeeper.protocol.messages.refusals import Refused

CJK_EXTRA = "innkeeper[cjk]"
"""What to install for Chinese, Japanese and Korean."""

_LETTERS, _CJK = "manimgx_fonts", "manimgx_fonts_cjk"
_FIRST, _LAST = "Noto Sans", ("Noto Sans Symbols", "Noto Emoji")
_CJK_NAMES = ("CJK ", "HIRAGANA ", "KATAKANA", "HANGUL ", "BOPOMOFO ", "IDEOGRAPHIC ", "FULLWIDTH ", "HALFWIDTH ")
_CJK_OF_COUNTRY = {"JP": "JP", "KR": "KR", "KP": "KR", "TW": "TC", "HK": "HK", "MO": "HK"}
_INVISIBLE = {"Cc", "Cf", "Cs", "Zs", "Zl", "Zp"}
_NAMED_MAX = 10
_SELECTORS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))


class Fonts(NamedTuple):
    """The folders of the installed fonts. Those for Chinese, Japanese and Korean are the second."""

    folders: tuple[Path, ...]
    has_cjk: bool


@cache
def installed_fonts() -> Fonts:
    """The fonts that are installed."""
    letters, cjk = _folder(_LETTERS), _folder(_CJK)
    if letters is None:
        raise ModuleNotFoundError(f"the fonts of the package {_LETTERS} are missing", name=_LETTERS)
    return Fonts((letters, cjk) if cjk else (letters,), cjk is not None)


def check_characters(text: str) -> None:
    """Refuses a text with a character that no installed font shows."""
    fonts = installed_fonts()
    missing = {one for one in set(text) - _shown(fonts.folders[0]) if _is_visible(one)}
    if missing and fonts.has_cjk:
        missing -= _shown(fonts.folders[1])
    if missing:
        extra = CJK_EXTRA if not fonts.has_cjk and any(map(_is_cjk, missing)) else ""
        named = ", ".join(f"{one} (U+{ord(one):04X})" for one in sorted(missing)[:_NAMED_MAX])
        raise Refused(FormatUnavailable("pdf", f"no installed font shows {named}", extra))


def font_families(text: str, country: str) -> tuple[str, ...]:
    """The families to set a text in, best first. Chinese characters have the form of the writing around them, or of the
    country (ISO 3166-1) where there is none."""
    others = [name for name in _families() if name not in (_FIRST, *_LAST)]
    cjk = (f"Noto Sans CJK {_cjk_form(text, country)}",) if installed_fonts().has_cjk else ()
    return (_FIRST, *others, *cjk, *_LAST)


def _cjk_form(text: str, country: str) -> str:
    names = {unicodedata.name(one, "").partition(" ")[0] for one in set(text) if ord(one) > 0x10FF}
    if names & {"HIRAGANA", "KATAKANA"}:
        return "JP"
    if "HANGUL" in names:
        return "KR"
    return _CJK_OF_COUNTRY.get(country, "SC")


def _folder(package: str) -> Path | None:
    found = find_spec(package)
    return Path(found.origin).parent if found and found.origin else None


@cache
def _shown(folder: Path) -> frozenset[str]:
    """The characters that the fonts in a folder show together."""
    faces = (uharfbuzz.Face(uharfbuzz.Blob.from_file_path(str(path))) for path in _font_files(folder))
    return frozenset(chr(code) for face in faces for code in face.unicodes)


@cache
def _families() -> tuple[str, ...]:
    """The families of the fonts for letters, by the names in their files."""
    faces = (uharfbuzz.Face(uharfbuzz.Blob.from_file_path(str(path))) for path in _font_files(installed_fonts()[0][0]))
    names = (face.get_name(uharfbuzz.OTNameIdPredefined.FONT_FAMILY) for face in faces)
    return tuple(sorted(name for name in names if name))


def _font_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in (".ttf", ".ttc") and "Italic" not in path.name)


def _is_visible(character: str) -> bool:
    code = ord(character)
    return unicodedata.category(character) not in _INVISIBLE and not any(code in those for those in _SELECTORS)


def _is_cjk(character: str) -> bool:
    return unicodedata.name(character, "").startswith(_CJK_NAMES)
