"""Which values of a candidate can be taken for those of the gold patch."""

import json

from hypothesis import given
from hypothesis import strategies as st

from harness.validation.confirmation.agreement import agree, first_difference, holds_fields, values_agree

OBJECT = ["is", None, None]
PLAIN = st.recursive(
    st.one_of(st.none(), st.integers(-5, 5), st.builds(lambda text: ["str", text], st.text(max_size=3))),
    lambda inner: st.one_of(
        st.builds(
            lambda kind, each: [kind, each], st.sampled_from(["list", "tuple", "set"]), st.lists(inner, max_size=3)
        ),
        st.builds(lambda pairs: ["dict", pairs], st.lists(st.tuples(inner, inner).map(list), max_size=3)),
    ),
    max_leaves=8,
)


def told(*observations):
    return json.dumps(["call passed", list(observations)])


def instance(plain=None, fields=None, **state):
    return ["is", plain, fields and list(map(list, fields.items())), list(map(list, state.items()))]


@given(PLAIN)
def test_a_value_agrees_with_itself_and_what_derives_from_its_type(value):
    assert values_agree(value, value)
    if value is not None:
        assert values_agree(value, instance(value))
        assert values_agree(["is", value, None], value)
        assert values_agree(["is", value, None], instance(value))


@given(PLAIN, PLAIN)
def test_plain_values_that_differ_do_not_agree(one, other):
    def key(value):  # members of sets and pairs of mappings are in no order
        if not isinstance(value, list) or value[0] == "str":
            return json.dumps(value)
        if value[0] == "dict":
            return json.dumps(["dict", sorted([key(k), key(v)] for k, v in value[1])])
        members = [key(each) for each in value[1]]
        return json.dumps([value[0], sorted(members) if value[0] == "set" else members])

    assert values_agree(one, other) is (key(one) == key(other))


def test_numbers_agree_by_value():
    assert values_agree(["float", "0.25"], instance(["float", "0.25"]))
    assert values_agree(["float", "0.30000000000000004"], ["float", "0.3"])
    assert values_agree(5760, ["float", "5760.000000000001"])
    assert not values_agree(5760, ["float", "5760.001"])
    assert values_agree(["float", "nan"], ["float", "nan"])
    assert not values_agree(1, ["float", "nan"])


def test_an_object_agrees_with_any_object_but_with_no_plain_value():
    for other in (instance(), instance(fields={"seconds": 1}), instance(["tuple", [1]]), instance(_seconds=1)):
        assert values_agree(OBJECT, other)
    for other in (None, 1, ["str", "x"], ["list", []]):
        assert not values_agree(OBJECT, other)
        assert not values_agree(other, instance())
    assert values_agree(["list", [OBJECT, 1]], ["list", [instance(x=3), 1]])
    assert not values_agree(["list", [OBJECT, 1]], ["list", [instance(x=3), 2]])


def test_fields_are_found_by_name_or_anywhere():
    gold = ["is", None, [["a", 1], ["b", ["str", "x"]]]]
    assert values_agree(gold, instance(fields={"a": 1, "b": ["str", "x"]}))
    assert values_agree(gold, instance(fields={"a": 1, "b": ["str", "x"], "more": 3}))
    assert values_agree(gold, instance(_left=["str", "x"], _right=1))
    assert values_agree(gold, instance(a=1, _hidden=["str", "x"]))
    assert values_agree(gold, instance(["tuple", [1, ["str", "x"]]]))
    assert not values_agree(gold, instance(fields={"a": 2, "b": ["str", "x"]}, other=1))
    assert not values_agree(gold, instance(_left=["str", "y"], _right=1))
    assert not values_agree(gold, instance())
    assert not values_agree(["is", None, [["a", 1], ["b", 1]]], instance(_once=1))


def test_what_derives_from_a_plain_type_is_found_in_another_objects_state():
    assert values_agree(["is", 5400, None], instance(_seconds=5400))
    assert not values_agree(["is", 5400, None], instance(_seconds=5401))


def test_runs_agree_by_every_observation():
    gold = [told(["equal", 1, False, OBJECT, OBJECT], ["truth", 2, True])]
    assert agree(gold, [told(["equal", 1, False, instance(a=1), instance()], ["truth", 2, True])])
    assert not agree(gold, [told(["equal", 1, True, instance(a=1), instance()], ["truth", 2, True])])
    assert not agree(gold, [told(["equal", 1, False, instance(a=1), instance()], ["truth", 2, False])])
    assert not agree(gold, [told(["equal", 1, False, instance(a=1), instance()])])
    assert not agree(gold, [gold[0].replace("passed", "failed")])
    assert not agree(gold, [])
    assert not agree(gold, gold * 2)


def test_the_difference_that_is_told_is_a_value_where_one_differs():
    one, other = ["equal", 1, False, 3, 4], ["equal", 1, True, 4, 4]
    assert first_difference(one, other) == (3, 4)
    assert first_difference(["equal", 1, False, 3, 3], ["equal", 1, True, 3, 3]) == (False, True)
    assert first_difference(["truth", 1, True], ["equal", 1, True, 3, 3])


def test_the_state_of_objects_is_asked_for_only_where_fields_were_seen():
    assert not holds_fields(told(["equal", 1, True, OBJECT, ["list", [OBJECT]]]))
    assert holds_fields(told(["equal", 1, True, 1, ["list", [["is", None, [["a", 1]]]]]]))
    assert holds_fields(told(["equal", 1, True, ["is", 3, None], 3]))
