"""Letters: what a notice says, in the guest's language and the hotel's words.

A template is a small file for each kind and language; the plain text and the page of HTML are made from the same one. A
hotel may have templates of its own. They run in Jinja's sandbox and see nothing but text, and where one is broken the
guest gets our letter instead: a confirmation is worth more than its wording.
"""

import logging
import re
import textwrap
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from innkeeper.delivery.email.wording import Words, clean, facts
from innkeeper.protocol.notifications.letters import Letter
from innkeeper.protocol.notifications.notices import Notice
from jinja2 import FileSystemLoader, StrictUndefined, Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

logger = logging.getLogger(__name__)

_OURS = Path(__file__).parent / "templates"
_LANGUAGE = "en"
_TAG = re.compile(r"[a-z]{2,3}(-[a-z0-9]{1,8})*", re.ASCII | re.IGNORECASE)
_HOTEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", re.ASCII)
_SUBJECT = "Subject:"
_SUBJECT_CHARACTERS_MAX = 200
_LINE_CHARACTERS = 72


class Letters:
    """Writes letters, from the templates of each hotel in `own` (`{hotel}/{language}/{kind}.txt`) and from ours."""

    def __init__(self, own: Path | None) -> None:
        self._own = own
        self._ours = _Shelf(_OURS)

    def write(self, notice: Notice) -> Letter:
        """The letter that says this, in the language that is nearest to the one wished for. The same each time."""
        folder = self._folder(notice.hotel.id)
        if folder is not None:
            try:
                return _Shelf(folder, _OURS).letter(notice)
            except Exception as error:  # a stranger's template may do anything
                name = f"{notice.hotel.id}'s own {notice.kind.value} ({notice.language})"
                logger.warning("%s cannot be used, ours goes out instead: %s", name, _complaint(error))
        return self._ours.letter(notice)

    def _folder(self, hotel: str) -> Path | None:
        if self._own is None or not _HOTEL.fullmatch(hotel):
            return None
        folder = self._own / hotel
        return folder if folder.is_dir() else None


class _Shelf:
    """Templates in one or two folders; what lies in the first hides what the second has under the same name."""

    def __init__(self, *folders: Path) -> None:
        self._folders = folders
        self._text = _environment(folders, escaped=False)
        self._html = _environment(folders, escaped=True)

    def letter(self, notice: Notice) -> Letter:
        """See `Letters.write`."""
        wished = _canonical(notice.language)
        kind = notice.kind.value
        language = next(tag for tag in _nearest(wished) if self._has(f"{tag}/{kind}.txt"))
        dialects = [tag for tag in _nearest(wished) if _root(tag) == _root(language)]
        said = facts(notice, self._words(language, dialects), language, wished)
        names = [f"{tag}/{kind}.{ending}" for tag in dialects for ending in ("html", "txt")]
        subject, text = _divide(_render(self._text.get_template(f"{language}/{kind}.txt"), "letter.txt", said))
        html = _render(self._html.select_template(names), "letter.html", said).strip() + "\n"
        if not html[:9].lower() == "<!doctype":
            raise ValueError(f"the page of HTML begins with {html[:20]!r}: does its template extend the layout?")
        return Letter(subject, text, html, language)

    def _has(self, name: str) -> bool:
        return any((folder / name).is_file() for folder in self._folders)

    def _words(self, language: str, dialects: list[str]) -> Words:
        """The words of a language, changed by those of its dialect, each by those of the first folder."""
        words: dict[str, Any] = {}
        for tag in [_root(language), *(tag for tag in dialects if tag != _root(language))]:
            for folder in reversed(self._folders):
                path = folder / tag / "words.toml"
                if path.is_file():
                    words = _merged(words, tomllib.loads(path.read_text("utf-8")))
        return msgspec.convert(words, Words)


def _environment(folders: tuple[Path, ...], *, escaped: bool) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(folders),
        autoescape=escaped,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["paragraphs"] = _paragraphs
    environment.filters["wrapped"] = _wrapped
    return environment


def _render(template: Template, layout: str, said: Mapping[str, Any]) -> str:
    return template.render(said, layout=layout)


def _divide(rendered: str) -> tuple[str, str]:
    """The subject, which is the first line, and the rest."""
    head, _, body = rendered.lstrip().partition("\n")
    subject = clean(head.removeprefix(_SUBJECT))
    if not head.startswith(_SUBJECT) or not subject:
        raise ValueError("there is no subject: does the template extend the layout?")
    if len(subject) > _SUBJECT_CHARACTERS_MAX:
        subject = subject[: _SUBJECT_CHARACTERS_MAX - 1].rstrip() + "…"
    return subject, re.sub(r"\n{3,}", "\n\n", body).strip() + "\n"


def _paragraphs(text: str) -> list[str]:
    """What stands between empty lines, each in one line. What is escaped stays so."""
    kind = type(text)
    parts = (re.sub(r"[ \t\r\n]+", " ", part).strip(" ") for part in re.split(r"\n[ \t\r]*\n", text))
    return [kind(part) for part in parts if part]


def _wrapped(text: str, indent: str = "") -> str:
    """In lines that fit a screen; those after the first are indented."""
    return textwrap.fill(
        text, _LINE_CHARACTERS, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _merged(words: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    nested = {
        name: words[name] | value
        for name, value in more.items()
        if isinstance(value, dict) and isinstance(words.get(name), dict)
    }
    return words | more | nested


def _canonical(tag: str) -> str:
    """A tag of BCP 47 as it is usually written, `pt-BR`; ours where it is none."""
    if not _TAG.fullmatch(tag):
        return _LANGUAGE
    first, *others = tag.lower().split("-")
    return "-".join([first, *(_FORMS.get(len(part), str.lower)(part) for part in others)])


_FORMS = {2: str.upper, 4: str.title}


def _nearest(tag: str) -> list[str]:
    """In which languages to write to who wishes for this one, best first."""
    return list(dict.fromkeys((tag, _root(tag), _LANGUAGE)))


def _root(tag: str) -> str:
    return tag.partition("-")[0]


def _complaint(error: Exception) -> str:
    """What is wrong, in one line, with the place where Jinja knows it."""
    place = f"{getattr(error, 'name', None)}, line {error.lineno}: " if hasattr(error, "lineno") else ""
    return clean(f"{type(error).__name__}: {place}{error}")
