"""What cleaning must change, what it must leave alone, and that the way back to the original text holds."""

import re
import time
from itertools import pairwise
from unicodedata import is_normalized, normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.cleaning import HIDDEN_NOTE, MIXED_NOTE, Cleaned, clean, clean_with_map, notes

DISGUISES = {
    "zero-width space": "A dr\u200bone that finds its way home.",
    "zero-width joiner and word joiner": "A d\u200dro\u2060ne that finds its way home.",
    "soft hyphen": "A dro\u00adne that finds its way home.",
    "soft hyphen as a reference": "A dro&shy;ne that finds its way home.",
    "bidi controls": "A \u202ddrone\u202c that finds its way home.",
    "tag characters": "A dr\U000e0064one that finds its way home.",
    "Cyrillic o": "A drоne that finds its way home.",
    "Cyrillic e and Greek omicron": "A drοnе that finds its way home.",
    "full-width letters": "A ｄｒｏｎｅ that finds its way home.",
    "mathematical bold letters": "A 𝐝𝐫𝐨𝐧𝐞 that finds its way home.",
    "ligature": "A drone that ﬁnds its way home.",
    "hyphen at a line end": "A dro-\nne that finds its way home.",
    "soft hyphen at a line end": "A dro\u00ad\n  ne that finds its way home.",
    "typographic hyphen at a line end": "A dro\u2010\r\nne that finds its way home.",
    "references to letters": "A &#100;rone that finds its way hom&#x65;.",
    "inline tags": "A <b>dr</b>one that <jats:italic>finds</jats:italic> its way home.",
    "LaTeX": r"A \emph{dr}one {\it that} finds \textbf{its} way home.",
    "discretionary hyphen": r"A dro\-ne that finds its way home.",
}

EXAMPLES = {
    "punctuation": [
        ("“GPS–denied” flight — the pilot’s view", '"GPS-denied" flight - the pilot\'s view'),
        ("a minus sign: −3 and a GPS‑denied one", "a minus sign: -3 and a GPS-denied one"),
        ("\x93tanks\x94 and the ship\x92s radar", '"tanks" and the ship\'s radar'),
        ("the shipâ€™s radar, rangeâ€“finder", "the ship's radar, range-finder"),
        ("SkyHook™ nets", "SkyHook nets"),
        ("wait… 5\xa0km", "wait... 5 km"),
        ("\ufeffTitle", "Title"),
        ("ï»¿Title", "Title"),
    ],
    "line ends": [
        ("inertial naviga-\ntion", "inertial navigation"),
        ("inertial naviga- \r\n\t tion", "inertial navigation"),
        ("two\nlines", "two\nlines"),
        ("GPS-\ndenied", "GPS-\ndenied"),
        ("Mach-\n5 or -\n on its own", "Mach-\n5 or -\n on its own"),
    ],
    "references and tags": [
        ("fish &amp; ships &lt; 5 &amp;lt; 6 &amp;amp;lt; 7", "fish & ships < 5 < 6 < 7"),
        ("&alpha; rays&#8217; &#x3b2; \\unicode{x2013} &nbsp;end", "α rays' β -  end"),
        ("<p>One.</p><p>Two.</p>", " One.  Two. "),
        ("<jats:title>Aim</jats:title><jats:p>To fly.</jats:p>", " Aim  To fly. "),
        ("H<sub>2</sub>O <A HREF='x.html' target=_blank>link</A><br/>", "H2O link "),
        ("<title><fixed-case>UAV</fixed-case>s at sea</title>", " UAVs at sea "),
        ("&lt;p&gt;escaped&lt;/p&gt;", " escaped "),
        ("<mml:math><mml:mi>k</mml:mi></mml:math>", "  k  "),
        ("a<style type='text/css'>b{color:red}</style>c<!-- <b>no</b> -->d", "a c d"),
        ("<script>one <script> never closed", " one   never closed"),
        ("<?xml version='1.0'?><![CDATA[kept]]>", "  kept "),
        ('<math><mi>x</mi><annotation encoding="tex">\\xi</annotation></math>', "  x   "),
    ],
    "accents": [
        (r"Fran\c{c}ois and Erd\H{o}s met \v{S}ari\'{c}", "François and Erdős met Šarić"),
        (r"K\"uhn, K\"{u}hn, na\"{\i}ve, Garc\'\i a, Pe\~na", "Kühn, Kühn, naïve, García, Peña"),
        (r"J\o rgensen, S{\o}ren, Stra{\ss}e, {\AA}bo, \L{}\'od\'z", "Jørgensen, Søren, Straße, Åbo, Łódź"),
        (r"Fran\c cois, Ho\v rava", "François, Hořava"),
        (r"the ship\'s radar can\'t see", "the ship's radar can't see"),
        (r"an \"aerial\" and an \"unmanned\" one", 'an "aerial" and an "unmanned" one'),
    ],
    "formatting": [
        (r"{\bf U}nmanned \textbf{A}erial \textsc{Vehicles}", "Unmanned Aerial Vehicles"),
        (r"$\mathcal{O}(n)$ for \(n\) \mathrm {rounds}", "O(n) for n rounds"),
        (r"\textcolor{red}{no} \href{https://a.example/b_c}{page}", " no  page"),
        (r"one\footnote{Two.} three\\four~five \% \& \_", "one Two. three four five % & _"),
        (r"seen before~\citep[see][p.~2]{doe20,roe21}, in Fig.~\ref{fig:a}.", "seen before  , in Fig.  ."),
        (r"\begin{itemize}\item One\end{itemize}", "   One "),
        ("{UAV}s and {{SLAM}}", "UAVs and SLAM"),
        (r"\OurNet{} beats \OurNet-large by 5\,\%", "OurNet beats OurNet-large by 5 %"),
        (r"\frac{1}{2} of and\/or", "1 2 of and/or"),
    ],
    "symbols": [
        (r"$\alpha$-stable, 2$\sigma$, 5$\mu$m, $\alpha\beta$", "alpha-stable, 2 sigma, 5 mu m, alpha beta"),
        (
            r"3$\times$ by 10\times10, $n\times m$, $x\leq y$, $x\in\R$, $\varepsilon\to 0$",
            "3x by 10x10, n x m, x<= y, x in R, epsilon-> 0",
        ),
        (r"at 90$^{\circ}$ and $\sim$ 5", "at 90^° and  ~  5"),
        (r"a \\ b \[ c \] \{d\}", "a   b   c    d "),
        ("costs C$5 and $6, or US\\$ 7, or \\$8", "costs C$5 and $6, or US 7, or $8"),
        ("$k$NN of $k$ things, in$$x$$out, $$5", "kNN of k things, in x out, $5"),
        ("about ~5 km, Fig.~5", "about ~5 km, Fig. 5"),
        ("a lone \\", "a lone "),
    ],
    "letters in pieces": [
        ("cafe\u0301 and cafe\u200b\u0301", "café and café"),
        ("\u1112\u1161\u11ab, \u0995\u09c7\u09be, \uff76\uff9e", "한, \u0995\u09cb, ガ"),
        ("caf<i>e</i>\u0301 and cafе\u0301", "café and café"),
    ],
    "look-alikes": [
        ("а surνеillanсе сamera", "а surveillance camera"),
        ("ΑΙMS and UАV", "AIMS and UAV"),
    ],
}

UNTOUCHED = [
    'Plain words, 100% of them; they cost nothing (or do they?) -- #1 @ x_i^2 `now\' "here".',
    "a < b and c > d, p < 0.05 and q > 3, a <b and c> d, x<y>z, 0<p<1",
    "<think> hides its <answer>, <data> and </SEG>",
    "AT&T and R&D; fish &chips; &notit; &",
    "costs C$5 and $6",
    "β-carotene, μm, 5 μm, αvβ3, NFκB, hν, ΔE, χPT, Δο",
    "η τέχνη του πολέμου",
    "беспилотный самолёт над морем",
    "Москвa-река и Lёд",
    "무인 항공기, 无人机, ドローン, מל״ט, طائرة",
    "first- and second-order\nlines",
    "Jürgen Ørsted, Łódź, naïve, Ångström",
    "😀 100 ° ≤ € § → ®",
]

MARKUP = [
    *("<", ">", "/", "&", ";", "\\", "$", "{", "}", "~", "-", "\n", "\r\n", " ", "\t", "'", '"', "[", "]", "*", "="),
    *("amp;", "lt;", "&#8203;", "&shy;", "&eacute;", "\\unicode{x41}", "<b>", "</b>", "<p>", "<!--", "-->", "<script>"),
    *("</script>", '<a href="', "\\c", "\\v", "\\'", "\\i", "\\cite", "\\bf", "\\alpha", "\\ss", "\\times", "\\begin"),
    *("a", "e", "o", "s", "Z", "5", "é", "ü", "â€™", "“", "–", "™", "\u0301", "\u0323", "\u200b", "\u00ad", "\ufeff"),
    *(
        "о",
        "е",
        "ν",
        "α",
        "ﬁ",
        "Ａ",
        "＜",
        "＆",
        "½",
        "한",
        "\u1112",
        "\u1161",
        "\u11ab",
        "का",
        "ｶﾞ",
        "\u0f73",
        "\ud800",
    ),
]
any_text = st.text(st.characters(exclude_categories=())) | st.lists(st.sampled_from(MARKUP), max_size=40).map("".join)
ordinary_words = [before for rows in EXAMPLES.values() for before, _ in rows] + UNTOUCHED + list(DISGUISES.values())


@pytest.mark.parametrize("disguised", DISGUISES.values(), ids=DISGUISES)
def test_a_disguised_text_cleans_to_the_plain_one(disguised: str) -> None:
    assert clean(disguised) == "A drone that finds its way home."


@pytest.mark.parametrize(
    ("before", "after"), [pair for rows in EXAMPLES.values() for pair in rows], ids=lambda text: repr(text)[:30]
)
def test_markup_and_typography_become_plain_text(before: str, after: str) -> None:
    assert clean(before) == after


@pytest.mark.parametrize("text", UNTOUCHED)
def test_what_is_no_markup_and_no_disguise_stays(text: str) -> None:
    assert clean(text) == text
    assert notes(text) == ()


@pytest.mark.parametrize("text", ordinary_words)
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@given(st.lists(st.sampled_from(ordinary_words), max_size=6).map(" ".join))
def test_cleaning_twice_changes_nothing_more_in_any_mixture(text: str) -> None:
    assert clean(clean(text)) == clean(text)


def test_nothing_that_nfkc_makes_needs_a_second_cleaning() -> None:
    changed = [sign for sign in map(chr, range(0x110000)) if normalize("NFKC", sign) != sign]
    assert [sign for sign in changed if clean(clean(f"a{sign}b")) != clean(f"a{sign}b")] == []


@given(any_text)
def test_the_map_comes_with_the_same_text_and_notes(text: str) -> None:
    mapped = clean_with_map(text)
    assert mapped.text == clean(text)
    assert mapped.notes == notes(text)
    assert len(mapped.starts) == len(mapped.ends) == len(mapped.text)
    assert is_normalized("NFKC", mapped.text)


@given(any_text)
def test_spans_lie_inside_the_original_and_never_run_backwards(text: str) -> None:
    mapped = clean_with_map(text)
    size = len(mapped.text)
    single = [mapped.original_span(place, place + 1) for place in range(size)]
    assert all(0 <= start < end <= len(text) for start, end in single)
    assert all(a[0] <= b[0] and a[1] <= b[1] for a, b in pairwise(single))
    empty = [mapped.original_span(place, place) for place in range(size + 1)]
    assert all(0 <= start == end <= len(text) for start, end in empty)
    assert empty == sorted(empty)
    if size:
        assert mapped.original_span(0, size) == (single[0][0], single[-1][1])


@given(st.lists(st.sampled_from(ordinary_words), max_size=4).map(" ".join))
def test_the_original_of_every_word_holds_all_that_made_it(text: str) -> None:
    mapped = clean_with_map(text)
    for word in re.finditer(r"[^\W_]+", mapped.text):
        start, end = mapped.original_span(*word.span())
        assert word[0] in clean(text[start:end])


@pytest.mark.parametrize(
    ("text", "word", "original"),
    [
        ("inertial naviga-\ntion aids", "navigation", "naviga-\ntion"),
        ("a dr\u200bone.", "drone", "dr\u200bone"),
        ("the \\emph{dr}one {\\it net}", "drone", "dr}one"),
        ("Garc\\'{\\i}a flies", "García", "Garc\\'{\\i}a"),
        ("five ﬁghters", "fighters", "ﬁghters"),
        ("a &amp;lt; b", "<", "&amp;lt;"),
        ("cafe\u0301 radar", "café", "cafe\u0301"),
        ("<p>A missile</p>", "missile", "missile"),
        ("plain radar", "radar", "radar"),
        ("2$\\sigma$ off", "sigma", "\\sigma"),
    ],
)
def test_a_word_leads_back_to_its_original_spelling(text: str, word: str, original: str) -> None:
    mapped = clean_with_map(text)
    place = mapped.text.index(word)
    start, end = mapped.original_span(place, place + len(word))
    assert text[start:end] == original


@pytest.mark.parametrize("span", [(-1, 2), (2, 1), (0, 6)])
def test_a_span_outside_the_cleaned_text_is_refused(span: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"must lie inside the cleaned text, 0:5"):
        clean_with_map("drone").original_span(*span)


def test_a_text_of_markup_only_still_has_a_span() -> None:
    assert clean_with_map("\u200b{}") == Cleaned("", [], [], (HIDDEN_NOTE,))
    assert clean_with_map("\u200b{}").original_span(0, 0) == (0, 0)


# Combining marks; Hangul jamo and syllables; Bengali, Tamil, Kannada to Sinhala, Tibetan; kana with sound marks.
composing = st.sampled_from(
    [
        *map(chr, range(0x300, 0x340)),
        *map(chr, [*range(0x1100, 0x115F), *range(0x1161, 0x1200), *range(0xAC00, 0xAC20)]),
        *map(chr, [*range(0x981, 0xA00), *range(0xB82, 0xC00), *range(0xC80, 0xE00), *range(0xF40, 0xF85)]),
        *"aeo ñệ5 ｶﾊﾞﾟカ\u3099ﬁ①²㎞ﷺ",
    ]
)


@given(st.text(composing, max_size=25))
def test_normalisation_by_pieces_equals_that_of_the_whole(text: str) -> None:
    assert clean(text) == normalize("NFKC", text)
    assert clean_with_map(text).text == normalize("NFKC", text)


@given(st.text(st.characters(max_codepoint=0x7F, exclude_characters="\\$&<{}~")))
def test_ascii_that_is_returned_at_once_is_what_all_steps_leave(text: str) -> None:
    assert clean(text + " é") == clean(text) + " é"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", ()),
        (r"\emph{plain} $x$ <b>text</b> &amp; so on", ()),
        ("“curly” – ﬁne", ()),
        ("\ufeffa byte order mark", ()),
        ("a byte\ufeff order mark inside", (HIDDEN_NOTE,)),
        ("dr\u200bone", (HIDDEN_NOTE,)),
        ("dro\u00adne", (HIDDEN_NOTE,)),
        ("dr&#8203;one", (HIDDEN_NOTE,)),
        (r"dr\unicode{x200b}one", (HIDDEN_NOTE,)),
        ("\u2067drone\u2069", (HIDDEN_NOTE,)),
        ("drоne", (MIXED_NOTE,)),
        ("dr&#x43e;ne", (MIXED_NOTE,)),
        ("dr\u200bоne", (HIDDEN_NOTE, MIXED_NOTE)),
    ],
)
def test_notes_tell_of_hidden_and_mixed_letters_only(text: str, expected: tuple[str, ...]) -> None:
    assert notes(text) == expected


HEAPS = [
    *("<", "{", "\\", "&", "$", "~", "-\n", "\n", "}{", '<a b="', "<a b=c ", "<a ", "<script>", "<!--", "<![CDATA["),
    *("&amp;", "&#", "\\cite[", "\\cite{", "\\cite ", "\\c ", '\\"', "\\'", "\\alpha", 'a\\"a', "\\unicode{", "- "),
    *("\u00ad ", "\u200b", "é", "â€", "о", "aο", "\u0301\u0323", "\u0f73\u0f71", "ﬁ\u0323\u0301", "\u1100", "ｶﾞ"),
]


@pytest.mark.parametrize("heap", HEAPS, ids=repr)
def test_time_grows_with_length_and_no_faster(heap: str) -> None:
    def seconds(size: int) -> float:
        text = "a" + heap * (size // len(heap)) + " и"
        before = time.process_time()
        clean_with_map(text)
        return time.process_time() - before

    # A quadratic step takes 16 times as long on the longer text, and far more than two seconds.
    assert seconds(200_000) < max(2.0, 10 * seconds(50_000))
