"""OCRA: the one-way vectors of RFC 6287, appendix C, and the questions our terminals ask."""

from __future__ import annotations

import pytest

from terminals import ocra

KEY_20 = b"12345678901234567890"
KEY_32 = b"12345678901234567890123456789012"
KEY_64 = (b"1234567890" * 7)[:64]
OUR_KEY = bytes(range(32))
TERMINAL = "trm_0123456789abcdef"


def repeated(digits: int) -> list[str]:
    return [str(digit) * 8 for digit in range(digits)]


class TestVectorsOfTheStandard:
    """Appendix C.1: all forty responses, ten or five a table."""

    def test_sha1_six_digits_of_a_number(self) -> None:
        wanted = "237653 243178 653583 740991 608993 388898 816933 224598 750600 294470"
        assert [
            ocra.ocra("OCRA-1:HOTP-SHA1-6:QN08", KEY_20, question) for question in repeated(10)
        ] == wanted.split()

    def test_sha256_eight_digits_of_counter_number_and_pin(self) -> None:
        suite = "OCRA-1:HOTP-SHA256-8:C-QN08-PSHA1"
        wanted = (
            "65347737 86775851 78192410 71565254 10104329 65983500 70069104 91771096 75011558 08522129"
        ).split()
        got = [ocra.ocra(suite, KEY_32, "12345678", counter=counter, pin="1234") for counter in range(10)]
        assert got == wanted

    def test_sha256_eight_digits_of_number_and_pin(self) -> None:
        suite = "OCRA-1:HOTP-SHA256-8:QN08-PSHA1"
        wanted = "83238735 01501458 17957585 86776967 86807031".split()
        assert [ocra.ocra(suite, KEY_32, question, pin="1234") for question in repeated(5)] == wanted

    def test_sha512_eight_digits_of_counter_and_number(self) -> None:
        suite = "OCRA-1:HOTP-SHA512-8:C-QN08"
        wanted = (
            "07016083 63947962 70123924 25341727 33203315 34205738 44343969 51946085 20403879 31409299"
        ).split()
        numbers = enumerate(repeated(10))
        got = [ocra.ocra(suite, KEY_64, question, counter=counter) for counter, question in numbers]
        assert got == wanted

    def test_sha512_eight_digits_of_number_and_time(self) -> None:
        suite = "OCRA-1:HOTP-SHA512-8:QN08-T1M"
        wanted = "95209754 55907591 22048402 24218844 36209546".split()
        assert [ocra.ocra(suite, KEY_64, question, timestep=0x132D0B6) for question in repeated(5)] == wanted


class TestOurSuite:
    def test_the_golden_answer_is_one_of_counter_question_terminal_and_operator(self) -> None:
        session = ocra.session_of(TERMINAL, "supervisor")
        assert ocra.response(OUR_KEY, 107, "0748213951", session) == "25462945"

    @pytest.mark.parametrize(
        ("counter", "question", "terminal", "operator"),
        [
            (106, "0748213951", TERMINAL, "03"),
            (107, "0748213958", TERMINAL, "03"),
            (107, "0748213951", "trm_0123456789abcdeg", "03"),
            (107, "0748213951", TERMINAL, "05"),
        ],
    )
    def test_whatever_differs_the_answer_differs(
        self, counter: int, question: str, terminal: str, operator: str
    ) -> None:
        right = ocra.response(OUR_KEY, 107, "0748213951", ocra.session_of(TERMINAL, "03"))
        assert ocra.response(OUR_KEY, counter, question, ocra.session_of(terminal, operator)) != right

    def test_short_questions_with_and_without_zeros_differ_as_text(self) -> None:
        """As numbers, 12 and 192 would be padded to the same bytes; that is why the suite says QA."""
        numbers = {ocra.ocra("OCRA-1:HOTP-SHA256-8:QN08", OUR_KEY, text) for text in ("12", "192")}
        texts = {ocra.ocra("OCRA-1:HOTP-SHA256-8:QA08", OUR_KEY, text) for text in ("12", "192")}
        assert (len(numbers), len(texts)) == (1, 2)


class TestQuestions:
    def test_a_question_has_two_digits_of_the_counter_and_checks_out(self) -> None:
        question = ocra.make_question(107)
        assert question[:2] == "07" and len(question) == ocra.QUESTION_DIGITS
        assert not ocra.is_slip(question)

    def test_two_questions_of_one_counter_differ(self) -> None:
        assert len({ocra.make_question(1) for _ in range(20)}) > 18

    def test_every_single_slip_and_every_swap_of_neighbours_is_noticed(self) -> None:
        question = "0748213951"
        for place in range(10):
            for digit in "0123456789".replace(question[place], ""):
                assert ocra.is_slip(question[:place] + digit + question[place + 1 :])
        for place in range(9):
            one, other = question[place], question[place + 1]
            if one != other:
                assert ocra.is_slip(question[:place] + other + one + question[place + 2 :])

    @pytest.mark.parametrize(
        "typed", ["0748213951", " 0748 2139 51 ", "0748-213-951", "０７４８２１３９５１"]
    )
    def test_a_question_is_read_however_it_is_typed(self, typed: str) -> None:
        assert ocra.read_question(typed) == "0748213951"

    @pytest.mark.parametrize("typed", ["", "074821395", "07482139511", "074821395x", "٠٧٤٨٢١٣٩٥١", "0" * 99])
    def test_what_is_not_ten_digits_is_no_question(self, typed: str) -> None:
        assert ocra.read_question(typed) is None

    @pytest.mark.parametrize(
        ("last_seen", "counter"), [(106, 107), (57, 107), (7, None), (107, None), (56, None), (150, None)]
    )
    def test_the_counter_is_the_next_that_ends_so_within_fifty(
        self, last_seen: int, counter: int | None
    ) -> None:
        assert ocra.rebuild_counter("0748213951", last_seen) == counter

    def test_every_counter_in_the_window_is_found_and_none_outside(self) -> None:
        for ahead in range(1, 100):
            found = ocra.rebuild_counter(ocra.make_question(1234 + ahead), 1234)
            assert found == (1234 + ahead if ahead <= ocra.COUNTER_WINDOW else None)
