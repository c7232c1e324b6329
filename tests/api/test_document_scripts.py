"""PDFs show the letters of every script, or the PDF is refused with what to install."""

from io import BytesIO

import pytest
from innkeeper.http.documents import fonts
from innkeeper.http.documents.html import html_document
from innkeeper.http.documents.pdf import pdf_document
from innkeeper.protocol.billing.refusals import FormatUnavailable
from innkeeper.protocol.billing.terms import Party
from innkeeper.protocol.messages.refusals import Refused
from pypdf import PdfReader
from support.sample_documents import invoice_of

SCRIPTS = {
    "Latin": ("NotoSans-", "Łukasz Ñúñez-Ștefănescu & Đặng Văn Ưởng, Öztürk ẞ"),
    "Greek": ("NotoSans-", "Ὀδυσσεὺς Παπαδόπουλος, Οδός Ερμού 1"),
    "Cyrillic": ("NotoSans-", "Наташа Щукина, Улица 2, Її Ґ"),
    "Chinese": ("NotoSansCJKsc", "王小明 北京市朝阳区建国路88号"),
    "Japanese": ("NotoSansCJKjp", "山田太郎 東京都千代田区丸の内 カタカナ"),
    "Korean": ("NotoSansCJKkr", "김철수 서울특별시 종로구"),
    "Arabic": ("NotoSansArabic", "محمد بن عبد الله، شارع الملك فهد 12"),
    "Hebrew": ("NotoSansHebrew", "יעל כהן, רחוב הרצל 5, תל אביב"),
    "Thai": ("NotoSansThai", "สมชาย ใจดี ถนนสุขุมวิท 21"),
    "Devanagari": ("NotoSansDevanagari", "श्री राम क्षत्रिय, दिल्ली हिन्दी"),
    "Armenian": ("NotoSansArmenian", "Արամ Հակոբյան"),
    "Georgian": ("NotoSansGeorgian", "ნინო ბერიძე"),
    "Tamil": ("NotoSansTamil", "தமிழ் நாடு"),
    "emoji": ("NotoEmoji", "Anna 🌴🎉 👨‍👩‍👧 🇵🇹 ❤️"),
}
FOUND_AGAIN = ("Latin", "Greek", "Cyrillic", "Chinese", "Japanese", "Korean")


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_pdf_shows_a_script_with_its_own_font(script: str) -> None:
    font, text = SCRIPTS[script]
    pdf = PdfReader(BytesIO(pdf_document(invoice_of(buyer=Party(text, (text,))))))
    (page,) = pdf.pages
    embedded = {str(each.get_object()["/BaseFont"]) for each in page["/Resources"]["/Font"].values()}
    assert any(font in name for name in embedded), embedded
    if script in FOUND_AGAIN:
        letters = "".join(text.split())
        assert letters in "".join(page.extract_text().split())


def test_chinese_characters_have_the_form_of_the_country_or_of_the_writing_around_them() -> None:
    for text, country, form in (
        ("骨直", "", "SC"), ("骨直", "JP", "JP"), ("骨直", "TW", "TC"), ("骨直", "HK", "HK"), ("骨直", "KR", "KR"),
        ("骨直の", "CN", "JP"), ("骨直 김", "", "KR"), ("Ann", "", "SC"),
    ):  # fmt: skip
        assert f"Noto Sans CJK {form}" in fonts.font_families(text, country)


def test_a_document_that_needs_the_fonts_of_an_extra_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    without_cjk(monkeypatch)
    with pytest.raises(Refused) as caught:
        pdf_document(invoice_of(buyer=Party("王小明")))
    assert caught.value.refusal == FormatUnavailable(
        "pdf", "no installed font shows 小 (U+5C0F), 明 (U+660E), 王 (U+738B)", "innkeeper[cjk]"
    )
    assert "王小明" in html_document(invoice_of(buyer=Party("王小明")))
    assert pdf_document(invoice_of(buyer=Party("Łukasz Щукин محمد")))


def test_a_document_whose_letters_no_font_shows_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        pdf_document(invoice_of(note="\U00013000"))
    assert caught.value.refusal == FormatUnavailable("pdf", "no installed font shows \U00013000 (U+13000)")


def test_every_character_that_a_check_lets_through_is_set_by_typst() -> None:
    shown = sorted(fonts._shown(fonts.installed_fonts().folders[0]))
    visible = [one for one in shown if fonts._is_visible(one)]
    for start in range(0, len(visible), 1_000):
        text = " ".join(visible[start : start + 1_000])
        assert pdf_document(invoice_of((), note=text)), f"from {visible[start]!r}"


def without_cjk(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the extra is not installed."""
    letters = fonts.installed_fonts().folders[:1]
    monkeypatch.setattr(fonts, "installed_fonts", lambda: fonts.Fonts(letters, False))
