"""Source of the readers: see `source`."""

from controller.v2g.exi.grammar import ComplexType, Slot, State, ValueType
from controller.v2g.exi.schema import UNBOUNDED, Binary, Boolean, ExiEnum, Integer, Text, open_class
from controller.v2g.exi.shapes import Shape, is_fixed, may_exceed, shapes_of, varint_expression
from controller.v2g.exi.source import (
    LONG_BINARY,
    Simple,
    Source,
    Step,
    bare_of,
    floor_of,
    is_long,
    is_signed,
    last_state,
    limit_of,
    steps_of,
    table_name,
    width_of,
)

WIDEST_BINARY = 8  # bytes, such as a session id, that are read without a call
WIDEST_LAST = 1024  # bits of a recurring object: a header without a signature, a meter with one
TEXT_MASKS = tuple((1 << 8 * max(octet - 1, 0)) - 1 for octet in range(72))
"""For a length octet: the bits of the octet and of the characters that follow it."""
FIVE_OCTETS = 2**35 - 1  # the largest varint of five octets
BYTE_MASKS = tuple((1 << 8 * count) - 1 for count in range(LONG_BINARY + 1))
MOST_KNOWN = 4096  # objects of the most usual shape of a type that are kept by their bits
MOST_UNUSUAL = 256  # objects of another shape


class ReaderSource(Source):
    """Makes the source of one reader. `e` is the number of the event that was read last."""

    def __init__(self, names: dict[str, object]) -> None:
        super().__init__(names)
        self._run: list[tuple[int, str]] = []  # width and statement; no statement for zeros

    def make(self, type_: ComplexType) -> str:
        """Return the source of `read_X`. Raises UnsupportedError."""
        assert type_.cls is not None
        made = self.name(type_.name, type_.cls)
        opened = self.name(f"Open{type_.name}", open_class(type_.cls))
        for number, shape in enumerate(shapes_of(type_)):
            self._shape(shape, self._known(type_, shape), opened, made, is_first=number == 0)
        self.put(f"o = {opened}()")
        self._content(type_)
        self._flush()
        self.put(f"o.__class__ = {made}")
        self.put("return o, s")
        return "\n".join([f"def read_{type_.name}(m, s):", *self.lines])

    def _shape(self, shape: Shape, known: str, opened: str, made: str, *, is_first: bool) -> None:
        """Read an object that has a usual shape; `_object` has looked up the first one."""
        self.put(f"t = s - {shape.width}")
        self.put(f"w = m >> t & {(1 << shape.width) - 1:#x}")
        mask, value = shape.mask_and_value
        with self.block(f"if w & {mask:#x} == {value:#x}:"):
            if not is_first:
                self.put(f"o = {known}.get(w)")
                with self.block("if o is not None:"):
                    self.put("return o, t")
            self.put(f"o = {opened}()")
            for slot, type_, index in shape.fields:
                self._shape_field(shape, type_, index, f"o.{slot.attr}")
            for slot in shape.absent:
                self.put(f"o.{slot.attr} = None")
            self.put(f"o.__class__ = {made}")
            self._remember(known, "w", "o", MOST_KNOWN if is_first else MOST_UNUSUAL)
            self.put("return o, t")

    def _shape_field(self, shape: Shape, type_: Simple, index: int, target: str) -> None:
        width = shape.parts[index][0]
        left = shape.offset(index)
        mask = (1 << width) - 1
        if is_fixed(type_):
            self._simple(type_, target)
            ((_, statement),) = self._run
            self._run = []
            self.put(statement.format(f"w >> {left} & {mask}", f"w & {mask << left:#x}"))
            return
        signed = is_signed(type_)
        value = varint_expression(shape, index + signed)
        self.put(f"x = {value}")
        if may_exceed(type_, shape, index + signed):
            self.deviate_if(f"x > {limit_of(type_)}")
        if not signed and floor_of(type_):
            self.deviate_if(f"x < {floor_of(type_)}")
        self.put(f"{target} = ~x if w & {mask << left:#x} else x" if signed else f"{target} = x")

    def _take(self, width: int, statement: str = "") -> None:
        """Take bits: zeros, or those of a statement that has {0} for them, {1} if only tested."""
        self._run.append((width, statement))

    def _flush(self) -> None:
        """Put the statements that read the run."""
        run, self._run = self._run, []
        if not run:
            return
        total = sum(width for width, _ in run)
        self.put(f"s -= {total}")
        bits = f"m >> s & {(1 << total) - 1:#x}"
        if len(run) == 1 and run[0][1]:
            self.put(run[0][1].format(bits, bits))
            return
        if not any(statement for _, statement in run):
            self.deviate_if(bits)
            return
        self.put(f"w = {bits}")
        zeros, left, statements = 0, total, []
        for width, statement in run:
            left -= width
            mask = (1 << width) - 1
            if statement:
                value = f"w >> {left}" if left else "w"
                if left + width < total:
                    value += f" & {mask}"
                statements.append(statement.format(value, f"w & {mask << left:#x}"))
            else:
                zeros |= mask << left
        if zeros:
            self.deviate_if(f"w & {zeros:#x}")
        for statement in statements:
            self.put(statement)

    def _bare(self, type_: ComplexType) -> None:
        """Read the attributes of a type with mixed content, and its end."""
        bare = bare_of(type_)
        for particle in bare.attributes:
            assert isinstance(particle.of, Slot)
            self._take(1)
            self._value(particle.of, particle.of.options[0][1], f"o.{particle.of.attr}")
        self._take(bare.state.bits, "e = {0}")
        self._flush()
        self.deviate_if(f"e != {bare.end}")
        for slot in bare.empty:
            self.put(f"o.{slot.attr} = {() if slot.many else None}")
        if type_.order_attr:
            self.put(f"o.{type_.order_attr} = None")

    def _content(self, type_: ComplexType) -> None:
        if type_.mixed:
            self._bare(type_)
            return
        steps = steps_of(type_)
        for step, _ in steps:
            for slot, _ in step.choices if step.is_choice else ():
                self.put(f"o.{slot.attr} = None")
        is_certain = self._event(type_.start, 0)
        for step, state in steps:
            is_certain = self._step(type_, step, state, is_certain)
        if not is_certain:
            self.deviate_if(f"e != {steps[-1][0].after}")

    def _event(self, state: State, base: int) -> bool:
        """Read an event code, 0 for number `base`; return whether there is but one event."""
        if len(state.events) == 1:
            self._take(state.bits)
            return True
        self._take(state.bits, f"e = ({{0}}) + {base}" if base else "e = {0}")
        self._flush()
        return False

    def _step(self, type_: ComplexType, step: Step, state: State, is_certain: bool) -> bool:
        if step.most != 1:
            self._list(step, state, is_certain)
            return False
        if step.least == 0:
            with self.block(f"if e < {step.after}:"):
                self._occurrence(type_, step)
                self._event_number(state, step.after)
            if not step.is_choice:
                with self.block("else:"):
                    self.put(f"o.{step.slot.attr} = None")
            return False
        if len(step.choices) == 1 and not is_certain:
            self.deviate_if(f"e != {step.first}")
        self._occurrence(type_, step)
        return self._event(state, step.after)

    def _event_number(self, state: State, base: int) -> None:
        """Read an event code; leave the number in `e` in any case."""
        if self._event(state, base):
            self._flush()
            self.put(f"e = {base}")

    def _occurrence(self, type_: ComplexType, step: Step) -> None:
        """Read the one that `e` says."""
        if step.is_group:
            table = f"READ_{type_.name or 'BODY'}_{step.slot.name}"
            self.groups.append((table, step))
            self.put(f"o.{step.slot.attr}, s = {table}[e](m, s)")
        elif step.is_choice:
            for number, (slot, value_type) in enumerate(step.choices, step.first):
                with self.block(f"{'if' if number == step.first else 'elif'} e == {number}:"):
                    self._value(slot, value_type, f"o.{slot.attr}")
                    self._flush()
            with self.block("else:"):
                self.put("raise Deviation")
        else:
            self._value(step.slot, step.choices[0][1], f"o.{step.slot.attr}")

    def _list(self, step: Step, state: State, is_certain: bool) -> None:
        if is_certain:
            self._flush()
            self.put(f"e = {step.first}")
        elif step.least:
            self.deviate_if(f"e != {step.first}")
        self.put("items = []")
        with self.block(f"while e == {step.first}:"):
            self._value(step.slot, step.choices[0][1], "x")
            self._flush()
            self.put("items.append(x)")
            with self.block("if not len(items) & 7:"):
                self.put("m &= (1 << s) - 1")
            if step.most == UNBOUNDED:
                self.deviate_if(f"len(items) > {step.bound}")
                self._event(state, step.first)
            else:
                with self.block(f"if len(items) < {step.bound}:"):
                    self._event(state, step.first)
                with self.block("else:"):
                    self._event_number(last_state(step, state), step.after)
        self.put(f"o.{step.slot.attr} = tuple(items)")

    def _value(self, slot: Slot, type_: ValueType, target: str) -> None:
        if isinstance(type_, ComplexType):
            if type_.cls is None:
                self._content(type_)
                return
            self._object(type_, target)
            return
        if slot.kind == "element":
            self._take(1)
        self._simple(type_, target)
        if slot.kind == "element":
            self._take(1)

    def _object(self, type_: ComplexType, target: str) -> None:
        """Read an object: recognise its most usual shape here, leave the rest to its reader."""
        self.needed.append(type_)
        shape = next(shapes_of(type_), None)
        if shape is None:
            self._flush()
            if type_.cls and type_.cls.RECURS:
                self._recurring_object(type_, target)
            else:
                self.put(f"{target}, s = read_{type_.name}(m, s)")
                self._forget(type_)
            return
        if any(statement for _, statement in self._run):
            self._flush()
        width = shape.width + sum(zeros for zeros, _ in self._run)
        known = self._known(type_, shape)
        self.put(f"t = s - {width}")
        self.put(f"{target} = k = {known}.get(m >> t & {(1 << width) - 1:#x})")
        with self.block("if k is None:"):
            self._flush()
            self.put(f"{target}, s = read_{type_.name}(m, s)")
        with self.block("else:"):
            self.put("s = t")

    def _recurring_object(self, type_: ComplexType, target: str) -> None:
        """Read an object unless it is the last one again: no other can begin with all its bits."""
        last = f"LAST_{type_.name}"
        self.names.setdefault(last, [0, 0, -1, None])  # width, mask, bits, object
        self.put(f"width, mask, w, {target} = {last}")
        with self.block("if s > width and m >> s - width & mask == w:"):
            self.put("s -= width")
        with self.block("else:"):
            self.put("t = s")
            self.put(f"{target}, s = read_{type_.name}(m, s)")
            with self.block(f"if t - s <= {WIDEST_LAST}:"):
                self.put("mask = (1 << t - s) - 1")
                self.put(f"{last}[:] = t - s, mask, m >> s & mask, {target}")
            self._forget(type_)

    def _forget(self, type_: ValueType) -> None:
        """Cut off what was read where it may be long: a shift takes as long as its result is."""
        if is_long(type_):
            self.put("m &= (1 << s) - 1")

    def _known(self, type_: ComplexType, shape: Shape) -> str:
        """Return the name of the table of known objects of a shape."""
        name = f"KNOWN_{type_.name}_{shape.width}"
        return self._table(name)

    def _table(self, name: str) -> str:
        """Make a table of what is known, or share it."""
        self.names.setdefault(name, {})
        return name

    def _simple(self, type_: Simple, target: str) -> None:
        width = width_of(type_)
        if width is None:
            self._varint(type_, target)
        elif isinstance(type_, Boolean):
            self._take(1, f"{target} = {{1}} != 0")
        elif isinstance(type_, Integer):
            self._fixed_integer(type_, width, target)
        else:
            assert isinstance(type_, type)
            assert issubclass(type_, ExiEnum)
            members = self.name(f"{type_.__name__}_OF", tuple(type_))
            self._take(width, f"{target} = {members}[{{0}}]")

    def _fixed_integer(self, type_: Integer, width: int, target: str) -> None:
        least = type_.least
        most = type_.limit
        assert least is not None
        assert most is not None
        if most - least == (1 << width) - 1:
            self._take(width, f"{target} = ({{0}}) + {least}" if least else f"{target} = {{0}}")
        else:
            table = self.name(table_name("VALUE", least, most), tuple(range(least, most + 1)))
            self._take(width, f"{target} = {table}[{{0}}]")

    def _varint(self, type_: Simple, target: str) -> None:
        if is_signed(type_):
            self._take(1, "negative = {1}")
        self._take(8, "x = {0}")
        if isinstance(type_, Binary) and type_.limit <= WIDEST_BINARY:
            self._short_binary(type_, target)
            return
        self._flush()
        with self.block("if x > 127:"):
            self._more_octets(type_)
        if isinstance(type_, Text):
            self._text(type_, target)
        elif isinstance(type_, Binary) and is_long(type_):
            self.put(f"{target}, s = binary(m, s, x, {type_.limit})")
            self._forget(type_)
        elif isinstance(type_, Binary):
            masks = self.name("BYTE_MASKS", BYTE_MASKS)
            self.deviate_if(f"x > {type_.limit}")
            self.put("s -= 8 * x")
            self.put(f"{target} = (m >> s & {masks}[x]).to_bytes(x, 'big')")
        elif is_signed(type_):
            self.put(f"{target} = ~x if negative else x")
        else:
            if floor_of(type_):
                self.deviate_if(f"x < {floor_of(type_)}")
            self.put(f"{target} = x")

    def _more_octets(self, type_: Simple) -> None:
        """Read the octets of a varint after the first, which is `x`."""
        short = "if y < 32768:"
        if isinstance(type_, Integer) and limit_of(type_) > FIVE_OCTETS:
            self.put("y = m >> s - 32 & 0xffffffff")
            with self.block("if y & 0x80808080 == 0x80808000:  # five octets in all: a time"):
                self.put("s -= 32")
                self.put("x += (y >> 17 & 0x3f80) + (y >> 2 & 0x1fc000) - 128")
                self.put("x += (y << 13 & 0xfe00000) + ((y & 127) << 28)")
            short = "elif (y := y >> 16) < 32768:"
        else:
            self.put("y = m >> s - 16 & 65535  # two more octets, of which one may be ours")
        with self.block(short):
            self.put("s -= 8")
            self.put("x += (y >> 1 & 16256) - 128")
        with self.block("else:"):
            self.put("s -= 16")
            self.put("x += (y >> 1 & 16256) + ((y & 127) << 14) - 128")
            with self.block("if y & 128:"):
                self.put("x, s = octets(m, s, x)")
            self.deviate_if(f"x > {limit_of(type_)}")

    def _text(self, type_: Text, target: str) -> None:
        """Read characters; recognise short texts, such as an EVSEID, together with their length."""
        if type_.most > len(TEXT_MASKS):
            self.put(f"{target}, s = text(m, s, x - 2)")
            return
        known = self._table("KNOWN_TEXT")
        masks = self.name("TEXT_MASKS", TEXT_MASKS)
        with self.block(f"if 2 < x < {len(TEXT_MASKS)}:"):
            self.put("t = s + 16 - 8 * x")
            self.put(f"w = m >> t & {masks}[x]")
            self.put(f"k = {known}.get(w)")
            with self.block("if k is None:"):
                self.put("k, s = text(m, s, x - 2)")
                self._remember(known, "w", "k", MOST_KNOWN)
            with self.block("else:"):
                self.put("s = t")
        with self.block("else:"):
            self.put("k, s = text(m, s, x - 2)")
        self.put(f"{target} = k")

    def _short_binary(self, type_: Binary, target: str) -> None:
        """Read bytes, of which there are mostly as many as may be: a session id."""
        bits = 8 * type_.limit
        total = sum(width for width, _ in self._run) + bits
        known = f"KNOWN_BINARY_{total}"
        self._table(known)
        self.put(f"t = s - {total}")
        self.put(f"w = m >> t & {(1 << total) - 1:#x}")
        self.put(f"{target} = k = {known}.get(w)")
        with self.block("if k is not None:"):
            self.put("s = t")
        with self.block("else:"):
            self.put("k = w")
            self._flush()
            self.deviate_if(f"x > {type_.limit}")
            self.put(f"{target} = (k & {(1 << bits) - 1:#x}).to_bytes({type_.limit}, 'big')[:x]")
            self.put("s -= 8 * x")
            with self.block("if s == t:"):
                self._remember(known, "k", target, MOST_KNOWN)

    def _remember(self, known: str, key: str, value: str, most: int) -> None:
        """Keep what was read by its bits."""
        with self.block(f"if len({known}) >= {most}:"):
            self.put(f"{known}.clear()")
        self.put(f"{known}[{key}] = {value}")
