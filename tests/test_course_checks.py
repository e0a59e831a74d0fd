"""Exercise checks: right, wrong with the mistake named, not answered yet; and every judge on its own examples."""

import pkgutil
from types import FunctionType

import pytest

import muomni.course.exercises
from muomni.course import checks
from muomni.course.checks import Exercise, check, exercise, is_blank, judge, misjudged, registered
from muomni.errors import UserError


def judge_squares(answer):
    for number in (0, 3):
        if answer(number) == number * 2:
            if number:
                return "That is twice the number, not its square."
        elif answer(number) != number * number:
            return f"For {number} it gives {answer(number)}."
    return None


SQUARE = Exercise(
    "99.1", judge_squares, lambda x: x * x, ((lambda x: 2 * x, "twice"),), FunctionType, "A square has equal sides."
)
BATCH = Exercise(
    "99.2",
    lambda answer: None if answer == 32 else "That is the micro-batch." if answer == 8 else "Multiply.",
    32,
    ((8, "micro-batch"), (3, "multiply")),
    int,
    "",
)


@pytest.fixture(autouse=True, scope="module")
def every_chapter_is_loaded():
    """A chapter first asked for while a test has put its own exercises in place would be lost for later tests."""
    for number in range(50):
        registered(number)


@pytest.fixture
def course(monkeypatch):
    monkeypatch.setattr(checks, "_exercises", {"99.1": SQUARE, "99.2": BATCH})


@pytest.mark.usefixtures("course")
def test_a_right_answer_is_right_and_says_why(capsys):
    result = check("99.1", lambda x: x**2)
    assert result and result.state == "right"
    assert capsys.readouterr().out == "99.1: right. A square has equal sides.\n"


@pytest.mark.usefixtures("course")
def test_a_wrong_answer_names_the_mistake_and_does_not_raise(capsys):
    assert check("99.1", lambda x: x + x).state == "wrong"
    assert not check("99.2", 8)
    assert capsys.readouterr().out.splitlines() == [
        "99.1: not right yet. That is twice the number, not its square.",
        "99.2: not right yet. That is the micro-batch.",
    ]


def empty(x): ...


def passes(x):
    """Its docstring is still there."""
    pass


def gives_ellipsis(x):
    y = ...
    return y


def counts_with_ellipsis(x):
    half = ...
    return x * half


def not_implemented(x):
    raise NotImplementedError


def half_a_pair(x):
    return x, ...


STUBS = (
    ...,
    None,
    empty,
    passes,
    gives_ellipsis,
    counts_with_ellipsis,
    not_implemented,
    half_a_pair,
    [1, ...],
    {"a": ...},
)


@pytest.mark.parametrize("stub", STUBS, ids=lambda stub: getattr(stub, "__name__", repr(stub)))
def test_a_stub_is_not_answered_yet(stub):
    assert judge(SQUARE, stub).state == "unanswered"


def test_unanswered_is_printed_as_such(course, capsys):
    check("99.2", ...)
    assert capsys.readouterr().out == "99.2: not answered yet\n"


def test_answers_that_look_empty_are_answers():
    for answer in (0, "", [], {}, False, lambda: None is None, lambda: 0):
        assert not is_blank(answer), answer


def test_a_function_without_return_is_told_so():
    def forgets(x):
        x * x

    assert "return" in judge(SQUARE, forgets).message


def test_a_function_that_works_in_place_may_return_nothing():
    def judge_clearing(answer):
        items = [1, 2]
        answer(items)
        return "Something is left." if items else None

    in_place = Exercise("99.4", judge_clearing, list.clear, ((list.copy, "left"),), None, "")
    assert misjudged(in_place) == []

    def clears(items):
        items.clear()

    assert judge(in_place, clears)


def test_an_exception_in_the_answer_is_reported_with_the_learners_line():
    def divides(x):
        y = x + 1
        return y / 0

    found = judge(SQUARE, divides)
    assert found.state == "wrong"
    assert "line 3" in found.message and "ZeroDivisionError" in found.message


def test_the_wrong_kind_of_answer_is_refused_before_it_is_judged():
    assert "a whole number" in judge(BATCH, "32").message
    assert "a whole number" in judge(BATCH, 32.0).message
    assert "a whole number" in judge(BATCH, True).message
    assert "a function" in judge(SQUARE, 9).message
    assert "call it" in judge(BATCH, lambda: 32).message


def test_a_tensor_of_one_number_is_that_number():
    numpy = pytest.importorskip("numpy")
    assert judge(BATCH, numpy.array(32))
    assert judge(BATCH, numpy.array([32]))
    assert judge(BATCH, numpy.array([32, 32])).state == "wrong"


def test_a_result_at_the_end_of_a_cell_shows_nothing_twice(course, capsys):
    check("99.2", 32)._ipython_display_()
    assert capsys.readouterr().out.count("right") == 1


@pytest.mark.parametrize("name", ["99.9", "34", "", 34.1, "00.9"])
def test_an_unknown_exercise_is_one_clear_error(course, name):
    with pytest.raises(UserError, match="no exercise"):
        check(name, 1)


def test_registering_refuses_what_could_not_be_tested():
    with pytest.raises(ValueError, match="like"):
        exercise("7.1", right=1, wrong=[(2, "two")])
    with pytest.raises(ValueError, match="at least one wrong"):
        exercise("07.1", right=1, wrong=[])
    with pytest.raises(ValueError, match="words"):
        exercise("07.1", right=1, wrong=[(2, " ")])


def test_two_judges_cannot_share_a_name_but_a_reload_can_register_again(monkeypatch):
    monkeypatch.setattr(checks, "_exercises", {})
    register = exercise("98.1", right=1, wrong=[(2, "two")])
    register(judge_squares)
    register(judge_squares)
    with pytest.raises(ValueError, match="twice"):
        register(lambda answer: None)


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        (Exercise("99.3", lambda a: "No.", 1, ((2, "no"),), None, ""), "right answer is judged wrong"),
        (Exercise("99.3", lambda a: None, 1, ((2, "no"),), None, ""), "is judged right"),
        (Exercise("99.3", lambda a: None if a == 1 else "No.", 1, ((2, "doubled"),), None, ""), "lacks 'doubled'"),
        (Exercise("99.3", lambda a: a.missing, 1, ((2, "x"),), None, ""), "AttributeError"),
    ],
)
def test_a_judge_that_misjudges_its_own_examples_is_found(broken, fault):
    assert any(fault in each for each in misjudged(broken))


def test_the_examples_of_a_sound_judge_pass():
    assert misjudged(SQUARE) == misjudged(BATCH) == []


def _every_registered_exercise() -> list[Exercise]:
    modules = [each.name for each in pkgutil.iter_modules(muomni.course.exercises.__path__)]
    return [each for module in modules for each in registered(int(module.removeprefix("ch"))).values()]


def test_every_registered_exercise_tells_its_right_answer_from_its_wrong_ones():
    faults = [fault for each in _every_registered_exercise() for fault in misjudged(each)]
    assert not faults, "\n".join(faults)
