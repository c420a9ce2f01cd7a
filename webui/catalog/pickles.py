"""Reads what a pickle says without doing it: no name is imported and nothing is called. From the bytes of a pickle to
values, with descriptions where an unpickler would build objects; ``torch_files`` makes tables of tensors of them.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from webui.core.errors import ModelError

OPCODES_LIMIT = 4_000_000
"""The largest checkpoints take some hundred thousand."""
_READ_LIMIT_BYTES = 1 << 20
"""Longer byte strings are weights: they are left in the file and described by a ``Span``."""


@dataclass(frozen=True, eq=False)
class Name:
    """A global that the pickle refers to, such as ``collections.OrderedDict``. Never imported."""

    text: str


@dataclass(frozen=True, eq=False)
class Call:
    """A call the pickle asks for. ``state`` is what it would set on the result; ``items`` what it would put in."""

    name: str
    arguments: tuple[Any, ...]
    state: list[Any] = field(default_factory=list)
    items: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Persistent:
    """A reference to something outside the pickle: a storage, in a torch file."""

    id: Any


@dataclass(frozen=True, eq=False)
class Span:
    """Bytes that were left in the file."""

    offset: int
    length: int


class Located(bytes):
    """Short bytes of the pickle, and where they lie in the file, as a ``Span`` does."""

    offset: int = 0

    @property
    def length(self) -> int:
        return len(self)


class Refused(ModelError):
    """The pickle does what reading weights does not need."""


class _Mark:
    pass


_MARK = _Mark()
_OPCODES: Mapping[str, pickletools.OpcodeInfo] = {known.code: known for known in pickletools.opcodes}
_BYTE_LENGTHS: Mapping[str, int] = {"SHORT_BINBYTES": 1, "BINBYTES": 4, "BINBYTES8": 8, "BYTEARRAY8": 8}
_TEXT_LENGTHS: Mapping[str, int] = {
    "SHORT_BINUNICODE": 1,
    "BINUNICODE": 4,
    "BINUNICODE8": 8,
    "SHORT_BINSTRING": 1,
    "BINSTRING": 4,
}
_SIMPLE_ARGUMENTS = frozenset(
    ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "UNICODE")
)
_CONSTANTS: Mapping[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}


class _Stream:
    """``stream`` from where it stands to ``end``: no length that the pickle claims is trusted."""

    def __init__(self, stream: BinaryIO, end: int) -> None:
        self._stream = stream
        self.end = end

    def tell(self) -> int:
        return self._stream.tell()

    def read(self, size: int) -> bytes:
        data = self._stream.read(max(0, min(size, self.end - self.tell())))
        if len(data) < size:
            raise ModelError("The pickle is cut off.")
        return data

    def readline(self) -> bytes:
        return self._stream.readline(min(_READ_LIMIT_BYTES, self.end - self.tell()))

    def skip(self, size: int) -> int:
        """Pass over ``size`` bytes; where they begin."""
        start = self.tell()
        if size > self.end - start:
            raise ModelError("The pickle is cut off.")
        self._stream.seek(start + size)
        return start


def describe(stream: BinaryIO, end: int, allowed: Callable[[str], bool]) -> Any:
    """The value that the pickle at ``stream`` describes, which is left behind the pickle.

    ``allowed`` says of a name whether a call of it may be described; any other call makes the whole pickle refused.
    Raises ModelError; Refused where the pickle asks for another call.
    """
    machine = _Machine(_Stream(stream, end), allowed)
    try:
        return machine.run()
    except ModelError:
        raise
    except (IndexError, KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        raise ModelError(f"The pickle is damaged ({type(error).__name__}).") from None


class _Machine:
    """The stack and the memo of pickle's virtual machine; each opcode describes."""

    def __init__(self, stream: _Stream, allowed: Callable[[str], bool]) -> None:
        self._stream = stream
        self._allowed = allowed
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        for _ in range(OPCODES_LIMIT):
            code = self._stream.read(1).decode("latin-1")
            known = _OPCODES.get(code)
            if known is None:
                raise ModelError(f"The pickle is damaged: there is no opcode {code!r}.")
            if known.name == "STOP":
                return self._stack.pop()
            self._step(known.name, known)
        raise Refused(f"The pickle has more than {OPCODES_LIMIT} opcodes; no model needs so many.")

    def _step(self, name: str, known: pickletools.OpcodeInfo) -> None:
        if name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        elif name in _BYTE_LENGTHS:
            self._stack.append(self._bytes(_BYTE_LENGTHS[name]))
        elif name in _TEXT_LENGTHS:
            length = int.from_bytes(self._stream.read(_TEXT_LENGTHS[name]), "little")
            self._stack.append(self._short(length).decode("utf-8", "replace"))
        elif name in _SIMPLE_ARGUMENTS:
            self._stack.append(self._argument(known))
        else:
            method = getattr(self, f"_op_{name.lower()}", None)
            if method is None:
                raise Refused(f"The pickle uses the opcode {name}, which no model file needs.")
            method(self._argument(known) if known.arg is not None else None)

    def _argument(self, known: pickletools.OpcodeInfo) -> Any:
        if known.name in ("LONG1", "LONG4"):
            length = int.from_bytes(self._stream.read(1 if known.name == "LONG1" else 4), "little")
            return int.from_bytes(self._short(length), "little", signed=True)
        assert known.arg is not None
        return known.arg.reader(self._stream)  # type: ignore[arg-type]

    def _short(self, length: int) -> bytes:
        if length > _READ_LIMIT_BYTES:
            raise Refused(f"The pickle holds a text or number of {length} bytes; no model needs one.")
        return self._stream.read(length)

    def _bytes(self, width: int) -> Located | Span:
        length = int.from_bytes(self._stream.read(width), "little")
        if length > 4096:
            return Span(self._stream.skip(length), length)
        offset = self._stream.tell()
        found = Located(self._stream.read(length))
        found.offset = offset
        return found

    def _to_mark(self) -> list[Any]:
        for place in range(len(self._stack) - 1, -1, -1):
            if self._stack[place] is _MARK:
                items = self._stack[place + 1 :]
                del self._stack[place:]
                return items
        raise ModelError("The pickle is damaged: a mark is missing.")

    def _call(self, callee: Any, arguments: Any) -> None:
        if not isinstance(callee, Name):
            raise Refused("The pickle calls the result of another call; no model file needs that.")
        if not self._allowed(callee.text):
            raise Refused(f"Opening it would run {callee.text}, which reading weights does not need.")
        self._stack.append(Call(callee.text, tuple(arguments)))

    def _op_proto(self, _: Any) -> None: ...

    def _op_frame(self, _: Any) -> None: ...

    def _op_mark(self, _: Any) -> None:
        self._stack.append(_MARK)

    def _op_pop(self, _: Any) -> None:
        self._stack.pop()

    def _op_pop_mark(self, _: Any) -> None:
        self._to_mark()

    def _op_dup(self, _: Any) -> None:
        self._stack.append(self._stack[-1])

    def _op_put(self, place: int) -> None:
        self._memo[place] = self._stack[-1]

    _op_binput = _op_long_binput = _op_put

    def _op_memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _op_get(self, place: int) -> None:
        self._stack.append(self._memo[place])

    _op_binget = _op_long_binget = _op_get

    def _op_empty_dict(self, _: Any) -> None:
        self._stack.append({})

    def _op_empty_list(self, _: Any) -> None:
        self._stack.append([])

    _op_empty_set = _op_empty_list

    def _op_empty_tuple(self, _: Any) -> None:
        self._stack.append(())

    def _op_tuple(self, _: Any) -> None:
        self._stack.append(tuple(self._to_mark()))

    def _op_list(self, _: Any) -> None:
        self._stack.append(self._to_mark())

    _op_frozenset = _op_list

    def _op_dict(self, _: Any) -> None:
        items = self._to_mark()
        self._stack.append({})
        self._put_items(items)

    def _op_tuple1(self, _: Any) -> None:
        self._last(1)

    def _op_tuple2(self, _: Any) -> None:
        self._last(2)

    def _op_tuple3(self, _: Any) -> None:
        self._last(3)

    def _last(self, count: int) -> None:
        if len(self._stack) < count:
            raise ModelError("The pickle is damaged: its stack is empty.")
        self._stack[-count:] = [tuple(self._stack[-count:])]

    def _op_append(self, _: Any) -> None:
        item = self._stack.pop()
        if isinstance(self._stack[-1], list):
            self._stack[-1].append(item)

    def _op_appends(self, _: Any) -> None:
        items = self._to_mark()
        if isinstance(self._stack[-1], list):
            self._stack[-1].extend(items)

    _op_additems = _op_appends

    def _op_setitem(self, _: Any) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._put_items([key, value])

    def _op_setitems(self, _: Any) -> None:
        self._put_items(self._to_mark())

    def _put_items(self, items: list[Any]) -> None:
        into = self._stack[-1]
        table = into.items if isinstance(into, Call) else into
        for key, value in zip(items[::2], items[1::2], strict=True):
            if isinstance(key, (str, int, float, bool, bytes, Name, type(None))):
                table[key] = value

    def _op_global(self, text: str) -> None:
        self._stack.append(Name(text.replace(" ", ".", 1)))

    def _op_stack_global(self, _: Any) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise Refused("The pickle computes the name of what it imports.")
        self._stack.append(Name(f"{module}.{name}"))

    def _op_reduce(self, _: Any) -> None:
        arguments, callee = self._stack.pop(), self._stack.pop()
        self._call(callee, arguments)

    _op_newobj = _op_reduce

    def _op_newobj_ex(self, _: Any) -> None:
        self._stack.pop()
        self._op_reduce(None)

    def _op_inst(self, text: str) -> None:
        self._call(Name(text.replace(" ", ".", 1)), self._to_mark())

    def _op_obj(self, _: Any) -> None:
        callee, *arguments = self._to_mark()
        self._call(callee, arguments)

    def _op_build(self, _: Any) -> None:
        state = self._stack.pop()
        if isinstance(self._stack[-1], Call):
            self._stack[-1].state.append(state)

    def _op_binpersid(self, _: Any) -> None:
        self._stack.append(Persistent(self._stack.pop()))

    def _op_persid(self, text: str) -> None:
        self._stack.append(Persistent(text))
