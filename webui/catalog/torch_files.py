"""From a file that PyTorch saved to the table of its tensors, by ``pickles``: nothing in the file is run or built."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

from webui.core.errors import ModelError

from .headers import Header
from .pickles import Call, Located, Name, Persistent, Refused, Span, describe

_DTYPES: Mapping[str, tuple[str, int]] = {
    "torch.FloatStorage": ("F32", 4),
    "torch.HalfStorage": ("F16", 2),
    "torch.BFloat16Storage": ("BF16", 2),
    "torch.DoubleStorage": ("F64", 8),
    "torch.LongStorage": ("I64", 8),
    "torch.IntStorage": ("I32", 4),
    "torch.ShortStorage": ("I16", 2),
    "torch.CharStorage": ("I8", 1),
    "torch.ByteStorage": ("U8", 1),
    "torch.BoolStorage": ("BOOL", 1),
    "torch.storage.UntypedStorage": ("U8", 1),
    "torch.float8_e4m3fn": ("F8_E4M3", 1),
    "torch.float8_e5m2": ("F8_E5M2", 1),
    "torch.uint16": ("U16", 2),
    "torch.uint32": ("U32", 4),
    "torch.uint64": ("U64", 8),
}
_REBUILD = ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3")
_PARAMETER = ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state")
_PERSISTENT_OBJECT = "torch_utils.persistence._reconstruct_persistent_obj"
_LOAD_BYTES = "torch.storage._load_from_bytes"
_ALLOWED = frozenset(
    (
        *_REBUILD,
        *_PARAMETER,
        _PERSISTENT_OBJECT,
        _LOAD_BYTES,
        "collections.OrderedDict",
        # Sets before protocol 4, which modules keep the names of buffers in.
        "builtins.set",
        "__builtin__.set",
        "collections.defaultdict",
        "argparse.Namespace",
        "dnnlib.util.EasyDict",
        "_codecs.encode",
        "numpy.dtype",
        "numpy.ndarray",
        "torch.Size",
        "torch.device",
        *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
    )
)
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_ENTRIES_LIMIT = 200_000
_DEPTH = 24
_VISITS_LIMIT = 1_000_000


@dataclass(frozen=True)
class TensorSpec:
    """Where one tensor lies in its file. ``stride`` and ``offset`` count items, as PyTorch's do."""

    dtype: str
    """As safetensors names it, such as F16."""
    item_bytes: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    storage_start: int
    """Where its storage begins in the file, in bytes; tensors with one start share memory."""
    storage_bytes: int


@dataclass(frozen=True)
class _Storage:
    dtype: str
    item_bytes: int
    start: int
    length: int


@dataclass(frozen=True)
class _Storages:
    """The storages of an open file: those of its archive by key, and those that lie as pickles within the pickle."""

    stream: BinaryIO
    by_key: Mapping[str, _Storage]
    within: dict[int, _Storage] = field(default_factory=dict)

    def of(self, source: Any) -> _Storage:
        """What a tensor says it lies in. Raises Refused, ModelError, KeyError."""
        if isinstance(source, Call) and source.name == _LOAD_BYTES:
            return self._inner(source.arguments[0] if source.arguments else None)
        if not isinstance(source, Persistent) or not isinstance(source.id, tuple) or source.id[0] != "storage":
            raise Refused("The pickle refers to something outside itself that is no storage.")
        dtype, width = _dtype(source.id[1])
        found = self.by_key[str(source.id[2])]
        return _Storage(dtype, width, found.start, found.length)

    def _inner(self, place: Any) -> _Storage:
        """A storage that an ordinary pickle holds: the bytes that torch.save made of it, read as a file is."""
        if not isinstance(place, (Span, Located)):
            raise Refused("The pickle computes the bytes of a storage.")
        if place.offset not in self.within:
            self.stream.seek(place.offset)
            root, storages = _root(self.stream, place.offset, place.offset + place.length)
            if not isinstance(root, Persistent):
                raise Refused("The pickle holds another one in the place of a storage.")
            self.within[place.offset] = _Storages(self.stream, storages).of(root)
        return self.within[place.offset]


def read_torch(path: Path) -> dict[str, TensorSpec]:
    """The tensors of ``path`` by their dotted names; a ``state_dict`` around them is taken off. Raises ModelError,
    Refused where opening the file in the ordinary way would run something; OSError.
    """
    size_bytes = path.stat().st_size
    try:
        with path.open("rb") as stream:
            root, storages = _root(stream, 0, size_bytes)
            found = dict(_flat(root, _Storages(stream, storages)))
    except (TypeError, ValueError, LookupError, OverflowError, RecursionError) as error:
        # A pickle may put any value in any place: what does not fit there is damage, and hides no other file.
        raise ModelError(f"The file is damaged ({type(error).__name__}: {str(error)[:120]}).") from None
    if not found:
        raise ModelError("The file holds no tensors.")
    return found


def torch_values(path: Path, prefix: str = "") -> dict[str, Any]:
    """The numbers, texts and flags beside the tensors of ``path``, by dotted names that begin with ``prefix``; lists of
    them too. An object's own attributes are among them, as they are named. Raises as ``read_torch`` does.
    """
    with path.open("rb") as stream:
        try:
            root, _ = _root(stream, 0, path.stat().st_size)
            return dict(_plain(_state(root), "", prefix, _DEPTH, count(1)))
        except (TypeError, ValueError, LookupError, OverflowError, RecursionError) as error:
            raise ModelError(f"The file is damaged ({type(error).__name__}: {str(error)[:120]}).") from None


def _plain(
    table: Mapping[Any, Any], before: str, prefix: str, depth: int, visits: Iterator[int]
) -> Iterator[tuple[str, Any]]:
    if depth == 0:
        raise Refused("The pickle is nested deeper than any model.")
    for key, value in table.items():
        if next(visits) > _VISITS_LIMIT:
            raise Refused(f"The pickle unfolds to more than {_VISITS_LIMIT} values.")
        name = f"{before}{key}"
        if not (name.startswith(prefix) or prefix.startswith(f"{name}.")):
            continue
        if _is_plain(value) and name.startswith(prefix):
            yield name, tuple(value) if isinstance(value, list) else value
        elif inner := _state(value):
            yield from _plain(inner, f"{name}.", prefix, depth - 1, visits)


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return len(value) <= 4096 and all(_is_plain(item) for item in value)
    return value is None or isinstance(value, (bool, int, float)) or (isinstance(value, str) and len(value) <= 4096)


def _state(value: Any) -> Mapping[Any, Any]:
    """Everything in a table or an object, by name."""
    if isinstance(value, dict):
        return value
    if not isinstance(value, Call):
        return {}
    if value.name == _PERSISTENT_OBJECT:
        return _state(_state(value.arguments[0]).get("state")) if value.arguments else {}
    return value.items or (value.state[0] if value.state and isinstance(value.state[0], dict) else {})


def torch_header(path: Path) -> Header:
    """The table of ``path`` in the form of a safetensors table."""
    found = read_torch(path)
    return Header({key: spec.shape for key, spec in found.items()}, frozenset(s.dtype for s in found.values()), {})


def _allowed(name: str) -> bool:
    return name in _ALLOWED or name.startswith("torch.nn.modules.")


def _root(stream: BinaryIO, start: int, end: int) -> tuple[Any, dict[str, _Storage]]:
    """What the file between ``start`` and ``end`` describes, and its storages by key."""
    stream.seek(start)
    first = stream.read(min(8, end - start))
    stream.seek(start)
    if first.startswith(b"PK\x03\x04"):
        if start:
            raise ModelError("The file holds an archive within a pickle, which no model needs.")
        return _zipped(stream, end)
    if not first:
        raise ModelError("The file is empty.")
    if first[:1] not in (b"\x80", b"}", b"(", b"c", b"]"):
        raise ModelError(_not_pickle(first))
    value = describe(stream, end, _allowed)
    if value == _LEGACY_MAGIC:
        return _legacy(stream, end)
    return value, {}


def _not_pickle(first: bytes) -> str:
    if first.startswith(b"version "):
        return "This is a Git LFS pointer, not the weights: they were never fetched (git lfs pull)."
    if first.lstrip().startswith(b"<"):
        return "This is a web page, not weights: the download met a login or an error page."
    if first.startswith(b"GGUF"):
        return "This is a GGUF file under a pickle's name."
    return "The file is no pickle and no PyTorch archive."


def _zipped(stream: BinaryIO, end: int) -> tuple[Any, dict[str, _Storage]]:
    try:
        with zipfile.ZipFile(stream) as archive:
            rows = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
        raise ModelError(f"The archive is cut off or damaged: {error}.") from None
    if len(rows) > _ENTRIES_LIMIT:
        raise Refused(f"The archive has {len(rows)} entries; no model needs more than {_ENTRIES_LIMIT}.")
    names = [row.filename for row in rows]
    if len(set(names)) != len(names):
        raise Refused("The archive holds two entries of one name.")
    if any("/code/" in name or name.endswith("constants.pkl") for name in names):
        raise Refused("This is a TorchScript archive: it holds code, which is never run.")
    pickled = [row for row in rows if row.filename.count("/") <= 1 and row.filename.endswith("data.pkl")]
    if len(pickled) != 1:
        raise ModelError("The archive holds no data.pkl: it is not what torch.save writes.")
    prefix = pickled[0].filename.removesuffix("data.pkl")
    storages: dict[str, _Storage] = {}
    for row in rows:
        begin = _place(stream, row, end)
        if row is pickled[0]:
            place = begin
        elif row.filename.startswith(prefix + "data/"):
            storages[row.filename.removeprefix(prefix + "data/")] = _Storage("U8", 1, begin, row.file_size)
    stream.seek(place)
    return describe(stream, place + pickled[0].file_size, _allowed), storages


def _place(stream: BinaryIO, row: zipfile.ZipInfo, end: int) -> int:
    """Where the bytes of an entry begin. torch.save stores them as they are: a packed entry is a bomb or a disguise."""
    if row.compress_type != zipfile.ZIP_STORED or row.file_size != row.compress_size or row.flag_bits & 1:
        raise Refused(f"Entry {row.filename[:80]!r} of the archive is compressed, which torch.save never does.")
    if not 0 <= row.header_offset <= end - 30:
        raise ModelError("The archive is damaged: an entry is not where its table says.")
    stream.seek(row.header_offset)
    head = stream.read(30)
    if len(head) < 30 or head[:4] != b"PK\x03\x04":
        raise ModelError("The archive is damaged: an entry is not where its table says.")
    begin = row.header_offset + 30 + int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
    if begin + row.file_size > end:
        raise ModelError("The archive is cut off: an entry lies beyond its end.")
    return begin


def _legacy(stream: BinaryIO, end: int) -> tuple[Any, dict[str, _Storage]]:
    """torch.save before 1.6: five pickles, then the storages in the order of the last one's keys."""
    for _ in range(2):
        describe(stream, end, _allowed)
    root = describe(stream, end, _allowed)
    keys = describe(stream, end, _allowed)
    if not isinstance(keys, list):
        raise ModelError("The file is damaged: it has no list of storages.")
    types = {str(item.id[2]): item.id for item in _persistent(root)}
    storages = {}
    for key in keys:
        id_ = types.get(str(key))
        if id_ is None:
            raise ModelError("The file is damaged: it has a storage that no tensor uses.")
        dtype, width = _dtype(id_[1])
        items = int.from_bytes(stream.read(8), "little", signed=True)
        start = stream.tell()
        if items < 0 or start + items * width > end:
            raise ModelError("The file is cut off: a storage lies beyond its end.")
        storages[str(key)] = _Storage(dtype, width, start, items * width)
        stream.seek(start + items * width)
    return root, storages


def _persistent(value: Any) -> Iterator[Persistent]:
    """Every storage reference in ``value``."""
    seen: set[int] = set()
    left = [value]
    while left:
        item = left.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, Persistent):
            if not (isinstance(item.id, tuple) and len(item.id) >= 5 and item.id[0] == "storage"):
                raise Refused("The pickle refers to something outside itself that is no storage.")
            yield item
        elif isinstance(item, Call):
            left += [*item.arguments, *item.state, item.items]
        elif isinstance(item, dict):
            left += item.values()
        elif isinstance(item, (list, tuple)):
            left += item


def _dtype(name: Any) -> tuple[str, int]:
    found = _DTYPES.get(name.text) if isinstance(name, Name) else None
    if found is None:
        raise ModelError(f"A storage is of the type {getattr(name, 'text', name)!r}, which is not known here.")
    return found


def _flat(root: Any, storages: _Storages) -> Iterator[tuple[str, TensorSpec]]:
    table = _members(root)
    inner = _members(table["state_dict"]) if "state_dict" in table else {}
    return _walk(inner or table or {"": root}, "", storages, _DEPTH, count(1))


def _walk(
    table: Mapping[Any, Any], prefix: str, storages: _Storages, depth: int, visits: Iterator[int]
) -> Iterator[tuple[str, TensorSpec]]:
    """The tensors below ``table``. A table may hold one other many times: ``visits`` bounds the whole walk."""
    if depth == 0:
        raise Refused("The pickle is nested deeper than any model.")
    for key, value in table.items():
        if next(visits) > _VISITS_LIMIT:
            raise Refused(f"The pickle unfolds to more than {_VISITS_LIMIT} values.")
        name = f"{prefix}{key.text if isinstance(key, Name) else key}"
        if isinstance(value, Call) and value.name in _PARAMETER:
            value = value.arguments[0] if value.arguments else None
        if isinstance(value, Call) and value.name in _REBUILD:
            yield name, _tensor(name, value, storages)
        elif inner := _members(value):
            yield from _walk(inner, f"{name}.", storages, depth - 1, visits)


def _members(value: Any) -> Mapping[Any, Any]:
    """What lies in a table or a module, by name; nothing for anything else."""
    if isinstance(value, dict):
        return value
    if not isinstance(value, Call):
        return {}
    if value.name == _PERSISTENT_OBJECT:
        meta = _members(value.arguments[0]) if value.arguments else {}
        return _module(meta.get("state"))
    return value.items or (_module(value.state[0]) if value.state and isinstance(value.state[0], dict) else {})


def _module(state: Any) -> Mapping[Any, Any]:
    """Parameters, buffers and modules of an ``nn.Module``'s state; the state itself of any other object."""
    members = _members(state)
    if "_parameters" not in members:
        return members
    parts = (_members(members.get(name)) for name in ("_parameters", "_buffers", "_modules"))
    return {key: value for part in parts for key, value in part.items()}


def _tensor(name: str, call: Call, storages: _Storages) -> TensorSpec:
    try:
        source, offset, shape, stride = call.arguments[:4]
        storage = storages.of(source)
        dtype, width = storage.dtype, storage.item_bytes
        if call.name == _REBUILD[2]:
            dtype, width = _dtype(call.arguments[6])
        shape, stride = tuple(_sizes(shape)), tuple(_sizes(stride))
    except (ValueError, TypeError, IndexError, KeyError):
        raise ModelError(f"The file is damaged at tensor {name[:80]!r}.") from None
    last = offset + sum((size - 1) * step for size, step in zip(shape, stride, strict=False))
    if len(shape) != len(stride) or not isinstance(offset, int) or offset < 0:
        raise ModelError(f"The file is damaged at tensor {name[:80]!r}.")
    if math.prod(shape) and (last + 1) * width > storage.length:
        raise ModelError(f"Tensor {name[:80]!r} reaches beyond its storage: the file is cut off or lies.")
    return TensorSpec(dtype, width, shape, stride, offset, storage.start, storage.length)


def _sizes(value: Any) -> tuple[int, ...]:
    value = value.arguments[0] if isinstance(value, Call) and value.name == "torch.Size" else value
    if not all(type(item) is int and 0 <= item < 2**48 for item in value):
        raise ValueError(value)
    return tuple(value)
