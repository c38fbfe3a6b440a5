"""What `|` makes: the same shapes as Celery's."""

from typing import Any

import pytest

from leveret import chain, chord, group, xmap


def shape(signature: Any) -> str:
    kind = type(signature).__name__
    if kind == "chord":
        return f"chord([{' '.join(map(shape, signature.tasks))}], {shape(signature.body)})"
    if kind in ("chain", "group"):
        return f"{kind}({' '.join(map(shape, signature.tasks))})"
    return str(signature.args[-1] if signature.args else "?")


@pytest.fixture
def a(tasks: Any) -> Any:
    return tasks.add.s


def test_tasks_become_a_chain(a: Any) -> None:
    assert shape(a(1) | a(2) | a(3)) == "chain(1 2 3)"
    assert shape(chain(a(1), chain(a(2), a(3)), a(4))) == "chain(1 2 3 4)"
    assert shape((a(1) | a(2)) | (a(3) | a(4))) == "chain(1 2 3 4)"


def test_a_group_with_a_task_behind_it_becomes_a_chord(a: Any) -> None:
    pair = group(a(1), a(2))

    assert shape(pair | a(3)) == "chord([1 2], 3)"
    assert shape(chain(pair, a(3))) == "chain(chord([1 2], 3))"
    assert shape(a(0) | pair | a(3)) == "chain(0 chord([1 2], 3))"
    assert shape(a(0) | pair | a(3) | a(4)) == "chain(0 chord([1 2], chain(3 4)))"


def test_a_chain_may_end_in_a_group(a: Any) -> None:
    assert shape(a(0) | group(a(1), a(2))) == "chain(0 group(1 2))"


def test_a_group_behind_a_chord_follows_its_body(a: Any) -> None:
    made = chord([a(1), a(2)], a(3))

    assert shape(made | a(4)) == "chord([1 2], chain(3 4))"
    assert shape(made | group(a(4), a(5))) == "chain(chord([1 2], chain(3 group(4 5))))"
    assert shape(made | group(a(4))) == "chord([1 2], chain(3 4))"


def test_two_groups_are_a_chord_of_groups(a: Any) -> None:
    assert shape(group(a(1), a(2)) | group(a(3), a(4))) == "chord([1 2], group(3 4))"


def test_groups_of_one_are_their_member_and_empty_ones_nothing(a: Any) -> None:
    assert shape(a(1) | group(a(2))) == "chain(1 2)"
    assert shape(a(1) | group() | a(2)) == "chain(1 2)"
    assert shape(group(a(1), a(2)) | group()) == "group(1 2)"


def test_the_parts_are_left_as_they_were(a: Any) -> None:
    pair, made = group(a(1), a(2)), chord([a(1)], a(3))
    _ = pair | a(4), made | a(5), a(0) | pair | a(6)

    assert (shape(pair), shape(made)) == ("group(1 2)", "chord([1], 3)")


def test_what_is_no_signature_is_refused(a: Any) -> None:
    for composition in (a(1) | a(2), group(a(1)), chord([a(1)], a(2))):
        with pytest.raises(TypeError):
            _ = composition | 3


def test_links_of_a_chain_go_to_its_ends(a: Any) -> None:
    made = chain(a(1), a(2))
    made.link(a(8))
    made.link_error(a(9))

    first, last = made.unchain_tasks()

    assert "link" not in first.options
    assert [shape(one) for one in last.options["link"]] == ["8"]
    assert [shape(one) for one in first.options["link_error"]] == ["9"]


def test_links_of_a_group_and_of_a_chord(a: Any) -> None:
    pair, made = group(a(1), a(2)), chord([a(1), a(2)], a(3))
    pair.link(a(8))
    pair.link_error(a(9))
    made.link(a(8))
    made.link_error(a(9))

    assert [len(part.options.get("link", [])) for part in pair.tasks] == [1, 0]
    assert pair.tasks[0].options["link"][0].immutable
    assert [len(part.options["link_error"]) for part in pair.tasks] == [1, 1]
    assert (len(made.body.options["link"]), len(made.body.options["link_error"])) == (1, 1)
    assert not any(part.options for part in made.tasks)


def test_map_and_starmap_are_celerys_signatures(tasks: Any) -> None:
    made = tasks.add.map([1, 2])

    assert isinstance(made, xmap)
    assert (made.task, made.immutable, made.kwargs["it"]) == ("celery.map", True, [1, 2])
    assert made.kwargs["task"]["task"] == "add"


def test_a_signature_reads_as_its_call_and_is_its_own_json(a: Any) -> None:
    sig = a(1, y=2)

    assert sig.reprcall(7, z=3) == "add(7, 1, y=2, z=3)"
    assert repr(sig) == sig.reprcall()
    assert sig.__json__() == dict(sig)
