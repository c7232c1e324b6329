"""A template that is merged with its layout gives the same letters as one that inherits from it."""

import pytest
from innkeeper.delivery.email.letters import Letters
from innkeeper.delivery.email.merged_templates import with_layout
from innkeeper.protocol.notifications.notices import NoticeKind
from jinja2 import DictLoader, Environment, StrictUndefined
from support.example_notices import notice

LAYOUTS = {
    "page": "<{% block title %}no title{% endblock %}>{% block body %}{% endblock %}.",
    "letter": "{% extends 'page' %}{% block title %}{{ self.subject() }}{% endblock %}"
    "{% block body %}{{ self.subject() | upper }} {% for line in lines %}{{ line }} {{ self.end() }}{% endfor %}"
    "{% endblock %}",
}
LETTERS = {
    "whole": "{% extends layout %}{% block subject %}to {{ name }}{% endblock %}"
    "{% block end %}{{ name }};{% endblock %}",
    "own title": "{% extends layout %}{% block subject %}s{% endblock %}{% block end %}{% endblock %}"
    "{% block title %}own{% endblock %}",
    "choice": "{% extends layout %}{% block subject %}{% if name == 'Bo' %}B{% else %}C{% endif %}{% endblock %}"
    "{% block end %}{% set name = 'x' %}{{ name }}{% endblock %}",
}


@pytest.mark.parametrize("name", LETTERS)
@pytest.mark.parametrize("escaped", [True, False])
def test_a_merged_template_renders_as_an_inheriting_one_does(name: str, escaped: bool) -> None:
    environment = Environment(loader=DictLoader(LAYOUTS | LETTERS), autoescape=escaped, undefined=StrictUndefined)
    for guest in ("Bo", "<b> & Co"):
        values = {"name": guest, "lines": ["1", "<2>"]}
        inheriting = environment.get_template(name).render(values, layout="letter")
        assert with_layout(environment, name, "letter").render(values) == inheriting


@pytest.mark.parametrize("language", ["en", "de", "pt"])
@pytest.mark.parametrize("kind", NoticeKind)
def test_a_built_in_letter_is_the_same_as_with_templates_that_inherit(
    kind: NoticeKind, language: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "own"
    (folder / "seaside").mkdir(parents=True, exist_ok=True)  # a hotel's own templates inherit; this one has none
    about = notice(kind, language=language)
    assert Letters(None).write(about) == Letters(folder).write(about)
