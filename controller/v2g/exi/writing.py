"""Source of the writers: see `source`."""

from collections.abc import Sequence

from controller.v2g.exi.grammar import ComplexType, Slot, State, ValueType
from controller.v2g.exi.schema import UNBOUNDED, Binary, Boolean, ExiEnum, Integer, Text
from controller.v2g.exi.source import (
    MOST_VARINT,
    SMALL_BITS,
    Simple,
    Source,
    Step,
    UnsupportedError,
    bare_of,
    is_signed,
    last_state,
    steps_of,
    table_name,
    width_of,
)

TWO_OCTETS = 2**14 - 1  # the largest varint of two octets
RESERVED = {"m", "o", "x", "index", "item"}  # names of the writer itself


class WriterSource(Source):
    """Makes the source of one writer."""

    def __init__(self, names: dict[str, object]) -> None:
        super().__init__(names)
        self._run: list[tuple[int, str]] = []  # width and value; no value for zeros
        self._tables: dict[Slot, str] = {}

    def make(self, type_: ComplexType) -> str:
        """Return the source of `write_X`. Raises UnsupportedError."""
        assert type_.cls is not None
        if type_.is_abstract:
            raise UnsupportedError
        self.deviate_if(f"o.__class__ is not {self.name(type_.name, type_.cls)}")
        self._content(type_)
        self.put(f"return {self._take_run()}")
        return "\n".join([f"def write_{type_.name}(o, m):", *self.lines])

    def _add(self, width: int, value: str = "") -> None:
        """Add bits to the run: zeros, or a value."""
        self._run.append((width, value))

    def _terms(self, extra: int) -> tuple[int, str]:
        """Return width and value of the run, followed by `extra` bits that are still zero."""
        total = left = sum(width for width, _ in self._run) + extra
        terms = [""]
        for width, value in self._run:
            left -= width
            if value:
                terms.append(f"{value} << {left}" if left else value)
        return total, " | ".join(terms)

    def _take_run(self) -> str:
        """Return the message with the run at its end, as an expression, and begin another run."""
        if not self._run:
            return "m"
        total, terms = self._terms(0)
        self._run = []
        return f"m << {total}{terms}"

    def _flush(self) -> None:
        """Put the statement that writes the run."""
        if self._run:
            self.put(f"m = {self._take_run()}")

    def _bare(self, type_: ComplexType) -> None:
        """Write the attributes of a type with mixed content, and its end."""
        bare = bare_of(type_)
        for slot in bare.empty:
            self.deviate_if(f"o.{slot.attr}" if slot.many else f"o.{slot.attr} is not None")
        for particle in bare.attributes:
            assert isinstance(particle.of, Slot)
            local = _local(particle.of)
            self.put(f"{local} = o.{particle.of.attr}")
            self._add(1)
            self._value(particle.of, particle.of.options[0][1], local)
        self._add(bare.state.bits, str(bare.end))

    def _content(self, type_: ComplexType) -> None:
        if type_.mixed:
            self._bare(type_)
            return
        steps = steps_of(type_)
        for step, _ in steps:
            self._load(type_, step)
        following = [step for step, _ in steps]
        self._event(type_.start, 0, following)
        for step, state in steps:
            following = following[1:]
            self._step(step, state, following)

    def _load(self, type_: ComplexType, step: Step) -> None:
        """Put the values of a step into local variables."""
        if step.is_group:
            self._tables[step.slot] = f"WRITE_{type_.name or 'BODY'}_{step.slot.name}"
            self.groups.append((self._tables[step.slot], step))
        slots = dict.fromkeys(slot for slot, _ in step.choices)
        for slot in slots:
            if slot.attr:
                self.put(f"{_local(slot)} = o.{slot.attr}")
        if step.is_choice:
            given = " + ".join(f"({_local(slot)} is not None)" for slot in slots)
            self.deviate_if(f"{given} != 1" if step.least else f"{given} > 1")
        if step.most != 1:
            items = _local(step.slot)
            self.deviate_if(f"{items}.__class__ is not tuple")
            self.deviate_if(f"not {step.least} <= len({items}) <= {step.bound}")

    def _event(
        self, state: State, base: int, following: Sequence[Step], *, repeats: int = 0
    ) -> None:
        """Add the code of the next event: code `repeats` is number `base`.

        `repeats` is 1 where code 0 is one more item of a list.
        """
        if len(state.events) == 1:
            self._add(state.bits)
            return
        codes = "".join(
            f"{code} if {given} else "
            for code, given in self._codes(base - repeats, base, following)
        )
        self._add(state.bits, f"({codes.removesuffix(' if True else ')})")

    def _codes(self, base: int, after: int, following: Sequence[Step]) -> list[tuple[str, str]]:
        """Return code and condition of each event that may be next; the last is certain."""
        codes: list[tuple[str, str]] = []
        for step in following:
            after = step.after
            code = step.first - base
            local = _local(step.slot)
            if step.is_choice:
                for index, (slot, _) in enumerate(step.choices):
                    codes.append((str(code + index), f"{_local(slot)} is not None"))
            elif step.is_group:
                index_of = f"{self._tables[step.slot]}[{local}.__class__][0]"
                codes.append((f"{index_of} + {code}" if code else index_of, f"{local} is not None"))
            else:
                codes.append((str(code), local if step.slot.many else f"{local} is not None"))
            if step.least:
                codes[-1] = (codes[-1][0], "True")
                return codes
        return [*codes, (str(after - base), "True")]

    def _step(self, step: Step, state: State, following: Sequence[Step]) -> None:
        if step.most != 1 or step.least == 0:
            self._flush()
            local = _local(step.slot)
            given = local if step.slot.many else _is_given(step)
            if step.least:
                self._occurrences(step, state, following)
            else:
                with self.block(f"if {given}:"):
                    self._occurrences(step, state, following)
                    self._flush()
            return
        self._occurrences(step, state, following)

    def _occurrences(self, step: Step, state: State, following: Sequence[Step]) -> None:
        """Write the values of a step, and the event that follows."""
        if step.most != 1:
            self._list(step, state, following)
            return
        if step.is_choice:
            self._flush()
            for index, (slot, type_) in enumerate(step.choices):
                with self.block(f"{'elif' if index else 'if'} {_local(slot)} is not None:"):
                    self._value(slot, type_, _local(slot))
                    self._flush()
        elif step.is_group:
            self._flush()
            local = _local(step.slot)
            self.put(f"m = {self._tables[step.slot]}[{local}.__class__][1]({local}, m)")
        else:
            self._value(step.slot, step.choices[0][1], _local(step.slot))
        self._event(state, step.after, following)

    def _list(self, step: Step, state: State, following: Sequence[Step]) -> None:
        items = _local(step.slot)
        with self.block(f"for index, item in enumerate({items}):"):
            with self.block("if index:"):
                self.put(f"m <<= {state.bits}")
            self._value(step.slot, step.choices[0][1], "item")
            self._flush()
        if step.most == UNBOUNDED:
            self._event(state, step.after, following, repeats=1)
            return
        with self.block(f"if len({items}) < {step.bound}:"):
            self._event(state, step.after, following, repeats=1)
            self._flush()
        with self.block("else:"):
            self._event(last_state(step, state), step.after, following)
            self._flush()

    def _value(self, slot: Slot, type_: ValueType, local: str) -> None:
        if isinstance(type_, ComplexType):
            if type_.cls is None:
                self._content(type_)
                return
            self.needed.append(type_)
            self.put(f"m = write_{type_.name}({local}, {self._take_run()})")
            return
        if slot.kind == "element":
            self._add(1)
        self._simple(type_, local)
        if slot.kind == "element":
            self._add(1)

    def _simple(self, type_: Simple, local: str) -> None:
        width = width_of(type_)
        if isinstance(type_, Boolean):
            self._add(1, f"{self.name('CODE_OF_BOOLEAN', {False: 0, True: 1})}[{local}]")
        elif isinstance(type_, Text | Binary):
            self._flush()
            kind = "text" if isinstance(type_, Text) else "binary"
            if type_.least:
                self.deviate_if(f"len({local}) < {type_.least}")
            self.put(f"m = put_{kind}(m, {local}, {type_.most})")
        elif isinstance(type_, Integer):
            if width is None:
                self._varint(type_, local)
            else:
                self._fixed_integer(type_, width, local)
        else:
            assert width is not None
            assert issubclass(type_, ExiEnum)
            codes = {member: member.code for member in type_}
            self._add(width, f"{self.name(f'CODE_OF_{type_.__name__}', codes)}[{local}]")

    def _fixed_integer(self, type_: Integer, width: int, local: str) -> None:
        assert type_.least is not None
        assert type_.most is not None
        least, most = type_.least, type_.most
        if width <= SMALL_BITS:
            codes = {value: value - least for value in range(least, most + 1)}
            self._add(width, f"{self.name(table_name('CODE', least, most), codes)}[{local}]")
        else:
            self.deviate_if(f"not {least} <= {local} <= {most}")
            self._add(width, f"({local} - {least})" if least else local)

    def _varint(self, type_: Integer, local: str) -> None:
        most = MOST_VARINT if type_.most is None else type_.most
        if not is_signed(type_) or most < TWO_OCTETS:
            self._any_varint(type_, local, most)
            return
        total, terms = self._terms(17)
        with self.block(f"if 128 <= {local} <= {TWO_OCTETS}:  # as most physical values are"):
            low = f"({local} & 127 | 128) << 8"
            self.put(f"m = m << {total}{terms} | {low} | {local} >> 7")
        with self.block("else:"):
            self._any_varint(type_, local, most)

    def _any_varint(self, type_: Integer, local: str, most: int) -> None:
        least = -most - 1 if is_signed(type_) else type_.least
        self.deviate_if(f"not {least} <= {local} <= {most}")
        value = local
        if is_signed(type_):
            self.put(f"x = {local} if {local} >= 0 else ~{local}")
            self._add(1, f"({local} < 0)")
            value = "x"
        one, two = self._terms(8), self._terms(16)
        rest = self._terms(0)
        self._run = []
        with self.block(f"if {value} < 128:"):
            self.put(f"m = m << {one[0]}{one[1]} | {value}")
        with self.block(f"elif {value} < 16384:"):
            low = f"({value} & 127 | 128) << 8"
            self.put(f"m = m << {two[0]}{two[1]} | {low} | {value} >> 7")
        with self.block("else:"):
            self.put(f"m = put_octets(m << {rest[0]}{rest[1]}, {value})")


def _is_given(step: Step) -> str:
    """Condition for a step that may be left out: one of its slots has a value."""
    slots = dict.fromkeys(slot for slot, _ in step.choices)
    return " or ".join(f"{_local(slot)} is not None" for slot in slots)


def _local(slot: Slot) -> str:
    """Name of the local variable that holds a slot's value."""
    return f"{slot.attr}_" if slot.attr in RESERVED else slot.attr
