"""Renders notices as letters, in the guest's language and with the hotel's wording.

There is a template for each kind of letter and language; the plain text and the HTML are made from the same one. A
hotel may have its own templates. They run in Jinja's sandbox with text as their only input. Where one fails, the letter
is made from the built-in template, because the guest needs the confirmation more than the hotel's wording.
"""

import logging
import os
import re
import textwrap
import tomllib
from functools import lru_cache
from pathlib import Path
from stat import S_ISDIR
from time import monotonic, time_ns
from typing import Any, NamedTuple

import msgspec
from innkeeper.delivery.email.merged_templates import with_layout
from innkeeper.delivery.email.wording import LetterWording, clean, facts
from innkeeper.protocol.notifications.letters import Letter
from innkeeper.protocol.notifications.notices import Notice
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

logger = logging.getLogger(__name__)

_BUILT_IN = Path(__file__).parent / "templates"
_LANGUAGE = "en"
_LAYOUT_TEXT, _LAYOUT_HTML = "letter.txt", "letter.html"
_TAG = re.compile(r"[a-z]{2,3}(-[a-z0-9]{1,8})*", re.ASCII | re.IGNORECASE)
_HOTEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", re.ASCII)
_SUBJECT = "Subject:"
_SUBJECT_CHARACTERS_MAX = 200
_LINE_CHARACTERS = 72
_EMPTY_LINE = re.compile(r"\n[ \t\r]*\n")
_SPACE = " \t\r\n"
_SPACES = re.compile(r"[ \t\r\n]+")
_OTHER_SPACE = re.compile(r"[\t\n\v\f\r]")
_SOURCES_KEPT, _HOTELS_KEPT = 256, 64
_FILES_MAX = 1_000
_RECENT_NANOSECONDS = 2_000_000_000
_REMEMBERED_SECONDS = 1.0


class Letters:
    """Writes letters from the hotels' templates in `own` (`{hotel}/{language}/{kind}.txt`) and the built-in ones."""

    def __init__(self, own: Path | None) -> None:
        self._own = own
        self._built_in = _Templates(_BUILT_IN)
        self._without_own = set[str]()
        self._looked_at = 0.0

    def write(self, notice: Notice) -> Letter:
        """The letter for this notice, in the available language nearest to the requested one. The same each time."""
        folder = self._folder(notice.hotel.id)
        if folder is not None:
            try:
                return _templates_in(folder).letter(notice)
            except Exception as error:  # a hotel's template may raise anything
                name = f"{notice.hotel.id}'s template {notice.kind.value} ({notice.language})"
                logger.warning("%s cannot be used, the built-in one is used instead: %s", name, _error_text(error))
        return self.write_built_in(notice)

    def write_built_in(self, notice: Notice) -> Letter:
        """The letter from the built-in templates, for a hotel that has none of its own."""
        return self._built_in.letter(notice)

    def has_own(self, hotel: str) -> bool:
        """Whether a hotel has templates of its own. They may take long: their letters are to be written in a thread.
        That it has none is remembered for a second."""
        if self._own is None:
            return False
        if (now := monotonic()) >= self._looked_at + _REMEMBERED_SECONDS:
            self._without_own.clear()
            self._looked_at = now
        if hotel in self._without_own:
            return False
        if self._folder(hotel) is None:
            self._without_own.add(hotel)
            return False
        return True

    def _folder(self, hotel: str) -> Path | None:
        if self._own is None or not _HOTEL.fullmatch(hotel):
            return None
        folder = self._own / hotel
        return folder if folder.is_dir() else None


class _Source(NamedTuple):
    """What the letters of one kind and requested language are made from."""

    language: str
    words: LetterWording
    text: Template
    html: Template


class _Templates:
    """Templates in one or two folders, as they are at first use; those in the first override those of the same name in
    the second."""

    def __init__(self, *folders: Path) -> None:
        self._folders = folders
        self._text = _environment(folders, escaped=False)
        self._html = _environment(folders, escaped=True)
        self._source = lru_cache(_SOURCES_KEPT)(self._find_source)

    def letter(self, notice: Notice) -> Letter:
        """See `Letters.write`."""
        requested = _canonical(notice.language)
        source = self._source(requested, notice.kind.value)
        values = facts(notice, source.words, source.language, requested)
        subject, text = _split_subject(source.text.render(values, layout=_LAYOUT_TEXT))
        html = source.html.render(values, layout=_LAYOUT_HTML).strip() + "\n"
        if not html[:9].lower() == "<!doctype":
            raise ValueError(f"the HTML begins with {html[:20]!r}: does the template extend the layout?")
        return Letter(subject, text, html, source.language)

    def _find_source(self, requested: str, kind: str) -> _Source:
        language = next(tag for tag in _nearest(requested) if self._has(f"{tag}/{kind}.txt"))
        dialects = [tag for tag in _nearest(requested) if _root(tag) == _root(language)]
        names = [f"{tag}/{kind}.{ending}" for tag in dialects for ending in ("html", "txt")]
        name, words = f"{language}/{kind}.txt", self._words(language, dialects)
        if self._folders == (_BUILT_IN,):
            text, html = with_layout(self._text, name, _LAYOUT_TEXT), with_layout(self._html, name, _LAYOUT_HTML)
        else:
            text, html = self._text.get_template(name), self._html.select_template(names)
        return _Source(language, words, text, html)

    def _has(self, name: str) -> bool:
        return any((folder / name).is_file() for folder in self._folders)

    def _words(self, language: str, dialects: list[str]) -> LetterWording:
        """The words of a language, overridden by those of its dialect; the first folder overrides the second."""
        words: dict[str, Any] = {}
        for tag in [_root(language), *(tag for tag in dialects if tag != _root(language))]:
            for folder in reversed(self._folders):
                path = folder / tag / "words.toml"
                if path.is_file():
                    words = _merged(words, tomllib.loads(path.read_text("utf-8")))
        return msgspec.convert(words, LetterWording)


def _templates_in(folder: Path) -> _Templates:
    """A hotel's own templates, before the built-in ones. They are compiled again after each change of a file, and for
    each letter while the last change is so recent that another could have the same time."""
    state = _state(folder)
    newest = max(changed for _, changed, *_ in state)
    if len(state) > _FILES_MAX or time_ns() - newest < _RECENT_NANOSECONDS:
        return _Templates(folder, _BUILT_IN)
    return _compiled(folder, state)


@lru_cache(_HOTELS_KEPT)
def _compiled(folder: Path, _state: tuple[tuple[str, int, int, int], ...]) -> _Templates:
    return _Templates(folder, _BUILT_IN)


def _state(folder: Path) -> tuple[tuple[str, int, int, int], ...]:
    """The folders and files in a folder, each with the time of its last change (in nanoseconds), its number and its
    size; no more than so many that the rest makes no difference."""
    found = list[tuple[str, int, int, int]]()
    waiting = [str(folder)]
    while waiting and len(found) <= _FILES_MAX:
        path = waiting.pop()
        try:
            status = os.stat(path)
        except OSError:  # a link that leads nowhere
            found.append((path, 0, 0, 0))
            continue
        found.append((path, max(status.st_mtime_ns, status.st_ctime_ns), status.st_ino, status.st_size))
        if S_ISDIR(status.st_mode):
            waiting += [entry.path for entry in os.scandir(path)]
    return tuple(found)


def _environment(folders: tuple[Path, ...], *, escaped: bool) -> Environment:
    """The environment of templates; a sandbox where some of them are a hotel's own."""
    is_built_in = folders == (_BUILT_IN,)
    kind = Environment if is_built_in else ImmutableSandboxedEnvironment
    environment = kind(
        loader=FileSystemLoader(folders),
        autoescape=escaped,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=not is_built_in,
    )
    environment.filters["paragraphs"] = _paragraphs
    environment.filters["wrapped"] = _wrapped
    return environment


def _split_subject(rendered: str) -> tuple[str, str]:
    """The subject, from the first line, and the rest."""
    head, _, body = rendered.lstrip().partition("\n")
    subject = clean(head.removeprefix(_SUBJECT))
    if not head.startswith(_SUBJECT) or not subject:
        raise ValueError("the subject is missing: does the template extend the layout?")
    if len(subject) > _SUBJECT_CHARACTERS_MAX:
        subject = subject[: _SUBJECT_CHARACTERS_MAX - 1].rstrip() + "…"
    while "\n\n\n" in body:
        body = body.replace("\n\n\n", "\n\n")
    return subject, body.strip() + "\n"


def _paragraphs(text: str) -> list[str]:
    """The paragraphs of a text, each in one line. Escaped text stays escaped."""
    kind, plain = type(text), str(text).strip(_SPACE)
    if "\n" not in plain and "  " not in plain and "\t" not in plain and "\r" not in plain:
        return [kind(plain)] if plain else []
    parts = (_SPACES.sub(" ", part).strip(" ") for part in _EMPTY_LINE.split(plain))
    return [kind(part) for part in parts if part]


def _wrapped(text: str, indent: str = "") -> str:
    """The text in lines of at most 72 characters; those after the first are indented."""
    if _OTHER_SPACE.search(text) or "  " in text or text.startswith(" ") or text.endswith(" "):
        return textwrap.fill(
            text, _LINE_CHARACTERS, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )
    if len(text) <= _LINE_CHARACTERS:
        return text
    line, *words = text.split(" ")
    lines = list[str]()
    for word in words:
        if len(line) + 1 + len(word) <= _LINE_CHARACTERS:
            line = f"{line} {word}"
        else:
            lines.append(line)
            line = indent + word
    return "\n".join([*lines, line])


def _merged(words: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    nested = {
        name: words[name] | value
        for name, value in more.items()
        if isinstance(value, dict) and isinstance(words.get(name), dict)
    }
    return words | more | nested


def _canonical(tag: str) -> str:
    """A BCP 47 language tag in its usual form, `pt-BR`; the default language where it is invalid."""
    if not _TAG.fullmatch(tag):
        return _LANGUAGE
    first, *others = tag.lower().split("-")
    return "-".join([first, *(_FORMS.get(len(part), str.lower)(part) for part in others)])


_FORMS = {2: str.upper, 4: str.title}


def _nearest(tag: str) -> list[str]:
    """The languages to use for a guest who requests this one, best first."""
    return list(dict.fromkeys((tag, _root(tag), _LANGUAGE)))


def _root(tag: str) -> str:
    return tag.partition("-")[0]


def _error_text(error: Exception) -> str:
    """The error in one line, with the template and line where Jinja reports them."""
    place = f"{getattr(error, 'name', None)}, line {error.lineno}: " if hasattr(error, "lineno") else ""
    return clean(f"{type(error).__name__}: {place}{error}")
