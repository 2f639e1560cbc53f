from hdtui.bench.screenshots import with_drawn_dots

TEXT = '<text class="r1" x="{x}" y="20" textLength="24.4" clip-path="url(#a)">{text}</text>'


def test_text_without_braille_stays_as_it_is() -> None:
    svg = TEXT.format(x=0, text="A&#160;&lt;")
    assert with_drawn_dots(svg) == svg


def test_a_braille_letter_becomes_one_square_a_dot_in_the_same_colour() -> None:
    drawn = with_drawn_dots(TEXT.format(x=12.2, text="⠁⣿"))
    assert drawn.startswith('<path class="r1" d="M')
    assert drawn.count("M") == 1 + 8
    assert "<text" not in drawn


def test_letters_beside_the_dots_keep_their_places() -> None:
    drawn = with_drawn_dots(TEXT.format(x=0, text="a⠁&lt;"))
    assert drawn.endswith(">a&#160;&lt;</text>")
    assert drawn.count("M") == 1
