"""Hypothesis strategies for messages, from the very declarations."""

from functools import cache

from hypothesis import strategies as st

from controller.v2g.exi.grammar import ComplexType, Grammar, Particle, Slot, ValueType
from controller.v2g.exi.schema import Binary, Boolean, Declared, ExiEnum, Integer, Text
from controller.v2g.exi.walk_back import is_xml_character

CHARACTERS = st.one_of(
    st.characters(min_codepoint=32, max_codepoint=126),
    st.characters(exclude_categories=["Cs"]).filter(is_xml_character),
)
LEFT_OUT = {"KeyInfo", "Object"}  # of signatures: their model groups are tested by vectors

Values = dict[str, object]


@cache
def objects(grammar: Grammar, type_: ComplexType) -> st.SearchStrategy[Declared]:
    """Return a strategy for objects of a declared class."""
    assert type_.cls is not None
    return st.deferred(lambda: _fields(grammar, type_)).map(lambda values: type_.cls(**values))  # type: ignore[misc]


def _fields(grammar: Grammar, type_: ComplexType) -> st.SearchStrategy[Values]:
    parts = [_particle(grammar, particle) for particle in type_.row]
    return st.tuples(*parts).map(lambda values: {k: v for part in values for k, v in part.items()})


def _particle(grammar: Grammar, particle: Particle) -> st.SearchStrategy[Values]:
    if isinstance(particle.of, Slot):
        return _slot(grammar, particle.of, particle)
    nothing: st.SearchStrategy[Values] = st.just({})
    if not isinstance(particle.of, tuple) or (particle.is_optional and particle.most != 1):
        return nothing
    rows = [st.tuples(*(_particle(grammar, p) for p in row)) for row in particle.of]
    one = st.one_of(rows).map(lambda values: {k: v for part in values for k, v in part.items()})
    return one if particle.least else st.one_of(nothing, one)


def _slot(grammar: Grammar, slot: Slot, particle: Particle) -> st.SearchStrategy[Values]:
    nothing: Values = {}
    if not slot.attr:
        inner = slot.options[0][1]
        assert isinstance(inner, ComplexType)
        return _fields(grammar, inner)
    options = [
        _value(grammar, type_)
        for _, type_ in slot.options
        if not (isinstance(type_, ComplexType) and type_.is_abstract)
    ]
    one = st.one_of(options)
    if slot.many:
        most = 4 if particle.most == -1 else min(particle.most, 4)
        many = st.lists(one, min_size=particle.least, max_size=most).map(tuple)
        return st.just(nothing) if slot.name in LEFT_OUT else many.map(lambda v: {slot.attr: v})
    given: st.SearchStrategy[Values] = one.map(lambda value: {slot.attr: value})
    if slot.name in LEFT_OUT:
        return st.just(nothing)
    return given if particle.least else st.one_of(st.just(nothing), given)


def _value(grammar: Grammar, type_: ValueType) -> st.SearchStrategy[object]:
    if isinstance(type_, ComplexType):
        return objects(grammar, type_)
    if isinstance(type_, Boolean):
        return st.booleans()
    if isinstance(type_, Integer):
        edges = [v for v in (-129, -128, -1, 0, 127, 128, 16383, 16384) if _is_in(type_, v)]
        whole = st.integers(type_.least, type_.most)
        return st.one_of(whole, st.sampled_from(edges)) if edges else whole
    if isinstance(type_, Text):
        longest = max(min(type_.most, 40), type_.least)
        return st.text(CHARACTERS, min_size=type_.least, max_size=longest)
    if isinstance(type_, Binary):
        return st.binary(min_size=type_.least, max_size=max(min(type_.most, 40), type_.least))
    assert issubclass(type_, ExiEnum)
    return st.sampled_from(type_)


def _is_in(type_: Integer, value: int) -> bool:
    least = type_.least is None or value >= type_.least
    return least and (type_.most is None or value <= type_.most)
