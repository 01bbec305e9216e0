"""What precedes the graph of a step: rows gathered and scaled, weights of a padded batch, dropout masks."""

from __future__ import annotations

from dlrun.engines.cpu.functions import Functions
from dlrun.engines.cpu.places import Place, Root
from dlrun.engines.cpu.text import Code, pieces, vector
from dlrun.rng import GAMMA, MIX_1, MIX_2


def gather(code: Code, batch: Root, *, scaled: bool, filled: bool) -> None:
    """batch[i] ← rows[index[i]], missing values filled, then (x − shift)·scale."""
    _, B, D = batch.array.shape
    scalar = Place.whole(batch).scalar
    width = code.width(scalar)

    def part(source: str, target: str, start: str, size: int) -> None:
        f = Functions(code, scalar, size)
        value = code.load(source, start, scalar, size)
        if filled:
            value = f.select(f.compare("uno", value, value), code.load("%fill", start, scalar, size), value)
        if scaled:
            centred = code.op(f"fsub {f.kind} {value}, {code.load('%shift', start, scalar, size)}")
            value = code.op(f"fmul {f.kind} {centred}, {code.load('%scale', start, scalar, size)}")
        code.store(value, batch.address, code.add(target, start), scalar, size)

    with code.loop(0, B, 1) as row:
        number = code.load("%index_now", row.index, "i64")
        source = code.address("%rows", code.times(number, D), scalar)
        target = code.times(row.index, D)
        if width <= D:
            with code.loop(0, D - D % width, width) as column:
                part(source, target, column.index, width)
        for start, size in pieces(D, width):
            part(source, target, str(start), size)


def weigh(code: Code, batch: Root, weight: Root) -> None:
    """w = 1/m for the rows of a padded batch, 0 for padding."""
    _, B, D = batch.array.shape
    scalar = Place.whole(batch).scalar
    share = code.load("%share_now", "0", scalar)
    with code.loop(0, B, 1) as row:
        present = code.load(batch.address, code.add(code.times(row.index, D), str(D - 1)), scalar)
        code.store(code.op(f"fmul {scalar} {present}, {share}"), weight.address, row.index, scalar)


def draw_mask(code: Code, mask: Root, layer: int) -> None:
    """The mask that `DropoutMasks` draws: word i of the stream decides on units 2i and 2i + 1, by its halves."""
    scalar = Place.whole(mask).scalar
    key = _fold_in(code, "%key", code.op(f"mul i64 %s, {_signed(GAMMA)}"))
    key = _fold_in(code, key, str(_signed(layer * GAMMA)))
    threshold = code.load("%thresholds", str(layer - 1), "i32")
    factor = code.load("%factors", str(layer - 1), scalar)
    pairs, width = mask.array.size // 2, code.lanes // 8

    def part(start: str, size: int) -> None:
        words, halves, units = vector("i64", size), vector("i32", 2 * size), vector(scalar, 2 * size)
        first = code.op(f"add i64 {code.op(f'mul i64 {start}, {_signed(GAMMA)}')}, {key}")
        many = code.splat(first, "i64", size)
        steps = ", ".join(f"i64 {_signed((k + 1) * GAMMA)}" for k in range(size))
        word = code.op(f"add {words} {many}, {f'<{steps}>' if size > 1 else _signed(GAMMA)}")
        found = code.op(f"bitcast {words} {_mix(code, word, size)} to {halves}")
        limit = code.splat(threshold, "i32", 2 * size)
        kept = code.op(f"icmp ule {halves} {found}, {limit}")
        many = code.splat(factor, scalar, 2 * size)
        value = code.op(f"select {vector('i1', 2 * size)} {kept}, {units} {many}, {units} zeroinitializer")
        code.store(value, mask.address, code.times(start, 2), scalar, 2 * size)

    if pairs >= width:
        with code.loop(0, pairs - pairs % width, width) as loop:
            part(loop.index, width)
    for start, size in pieces(pairs, width):
        part(str(start), size)


def _fold_in(code: Code, key: str, product: str) -> str:
    """`rng.fold_in`, given the counter's product with γ."""
    if product.startswith("%"):
        salt = code.op(f"add i64 {product}, {_signed(MIX_1)}")
    else:
        salt = str(_signed(int(product) + MIX_1))
    return _mix(code, code.op(f"xor i64 {key}, {salt}"), 1)


def _mix(code: Code, z: str, width: int) -> str:
    """SplitMix64's finalizer."""
    kind = vector("i64", width)
    for shift, factor in ((30, MIX_1), (27, MIX_2), (31, None)):
        moved = code.op(f"lshr {kind} {z}, {code.integer(shift, 'i64', width)}")
        z = code.op(f"xor {kind} {z}, {moved}")
        if factor is not None:
            z = code.op(f"mul {kind} {z}, {code.integer(factor, 'i64', width)}")
    return z


def _signed(value: int) -> int:
    """Modulo 2⁶⁴, as LLVM writes it."""
    low = value % (1 << 64)
    return low - (1 << 64) if low >= 1 << 63 else low
