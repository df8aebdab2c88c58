"""The whole of a slice in one Triton kernel: `sample_slices`.

A program has M tokens: all lanes of M / LANES rows at one position each, or of one row at M / LANES positions, its window. It
goes from the first position to the last, R then G then B, without a launch, a read by the host or another program in between.
Rows share nothing, so programs need no synchronisation; within a program a barrier separates what is written from its reads
by other tokens.

A window is sampled on forecasts of its pixels, and accepted up to the first wrong one, as `models.sampling.passes` does it.

The arithmetic is that of `models.decoder` and `models.layers`; the order of sums differs. A token's sums have one order,
whatever else its tile holds, so a row does not depend on its batch.

Widths are padded with zeros to powers of two, as Triton's tensors must be: a 2 after a letter of the legend in
`models/__init__.py` marks a padded width. A `vector` has shape (1, width), a tile (M, width).
"""

import triton
import triton.language as tl


@triton.jit
def vector(pointer, WIDTH: tl.constexpr):
    """Return (1, WIDTH) numbers."""
    return tl.load(pointer + tl.arange(0, WIDTH))[None, :]


@triton.jit
def product(x, weight, INPUTS: tl.constexpr, OUTPUTS: tl.constexpr):
    """Return x @ weight, (M, OUTPUTS) float32; x (M, INPUTS) is rounded to the dtype of weight (INPUTS, OUTPUTS)."""
    inputs, outputs = tl.arange(0, INPUTS)[:, None], tl.arange(0, OUTPUTS)[None, :]
    factors = tl.load(weight + inputs * OUTPUTS + outputs)
    return tl.dot(x.to(factors.dtype), factors, input_precision="ieee")


@triton.jit
def linear(x, weight, bias, INPUTS: tl.constexpr, OUTPUTS: tl.constexpr):
    """Return x @ weight + bias, (M, OUTPUTS)."""
    return product(x, weight, INPUTS, OUTPUTS) + vector(bias, OUTPUTS)


@triton.jit
def layer_norm(x, weight, bias, D: tl.constexpr, D2: tl.constexpr):
    """Return the normalised (M, D2); padding stays zero because weight and bias are."""
    inside = (tl.arange(0, D2) < D)[None, :]
    centred = tl.where(inside, x - (tl.sum(x, 1) / D)[:, None], 0.0)
    variance = tl.sum(centred * centred, 1) / D
    return centred / tl.sqrt(variance + 1e-5)[:, None] * vector(weight, D2) + vector(bias, D2)


@triton.jit
def gelu(x):
    """Return x times the normal distribution function of x."""
    return 0.5 * x * (1.0 + tl.erf(x * 0.7071067811865476))


@triton.jit
def sigmoid(x):
    """Return the logistic function."""
    return 1.0 / (1.0 + tl.exp(-x))


@triton.jit
def gate(value, opening):
    """Return tanh(value) * sigmoid(opening)."""
    return (2.0 * sigmoid(2.0 * value) - 1.0) * sigmoid(opening)


@triton.jit
def first_layer(x, pixels, taps, weight, T: tl.constexpr, P2: tl.constexpr, D2: tl.constexpr):
    """Add the first layer on the T pixels before each token.

    `pixels`: (M, 1) pointers to the first slot of each; `taps`: (M,) pointers to its first tap.
    """
    for tap in range(T):
        near = tl.load(pixels + tl.load(taps + tap)[:, None] * P2 + tl.arange(0, P2)[None, :])
        x += product(near, weight + tap * P2 * D2, P2, D2)
    return x


@triton.jit
def gated_convolution(value, opening, slim, grid, taps, weight, T: tl.constexpr, P2: tl.constexpr, D2: tl.constexpr):
    """Add both halves of the gated convolution on T + 1 pixels, of which `slim`, (M, P2), is the token's own and the last.

    `weight`: (2, T + 1, P2, D2); `grid`, `taps`: pointers as those of `first_layer`.
    """
    other_half = (T + 1) * P2 * D2
    for tap in range(T):
        near = tl.load(grid + tl.load(taps + tap)[:, None] * P2 + tl.arange(0, P2)[None, :])
        value += product(near, weight + tap * P2 * D2, P2, D2)
        opening += product(near, weight + other_half + tap * P2 * D2, P2, D2)
    value += product(slim, weight + T * P2 * D2, P2, D2)
    opening += product(slim, weight + other_half + T * P2 * D2, P2, D2)
    return gate(value, opening)


@triton.jit
def attention(q, keys, contents, position, M: tl.constexpr, DEPTH: tl.constexpr, KEYS: tl.constexpr):
    """Return the attention of one head, (M, DEPTH), from q to the positions up to `position`, (M,), KEYS at a time.

    The softmax is computed in one go over the cache, rescaled whenever a larger score is found (arXiv:1805.02867).
    `keys`, `contents`: (M, 1) pointers to the first position of each token's lane.
    """
    largest = tl.full((M,), float("-inf"), tl.float32)
    mass = tl.zeros((M,), tl.float32)
    found = tl.zeros((M, DEPTH), tl.float32)
    for first in range(0, tl.max(position, 0) + 1, KEYS):
        at = first + tl.arange(0, KEYS)
        seen = at[None, :] <= position[:, None]
        cells = (at * DEPTH)[None, :, None] + tl.arange(0, DEPTH)[None, None, :]
        key = tl.load(keys[:, :, None] + cells, mask=seen[:, :, None], other=0.0).to(tl.float32)
        score = tl.sum(q[:, None, :] * key, 2) * (1.0 / DEPTH**0.5)
        score = tl.where(seen, score, float("-inf"))
        larger = tl.maximum(largest, tl.max(score, 1))
        kept, share = tl.exp(largest - larger), tl.exp(score - larger[:, None])
        content = tl.load(contents[:, :, None] + cells, mask=seen[:, :, None], other=0.0).to(tl.float32)
        mass = mass * kept + tl.sum(share, 1)
        found = found * kept[:, None] + tl.sum(share[:, :, None] * content, 1)
        largest = larger
    return found / mass[:, None]


@triton.jit
def slice_forecast(left, above, above_left, above_right, WHICH: tl.constexpr):
    """Return forecast WHICH of those from the slice itself, (M,), as `models.decoder.Decoder.forecasts`; negative: absent."""
    if WHICH == 0:
        forecast = left
    elif WHICH == 1:
        forecast = above
    elif WHICH == 2:  # noqa: PLR2004 - places in models.decoder.NEIGHBOURS
        forecast = above_left
    elif WHICH == 3:  # noqa: PLR2004 - as above
        forecast = above_right
    else:
        absent = (left < 0) | (above < 0) | (above_left < 0)
        forecast = tl.where(absent, -1, tl.maximum(left + above - above_left, 0))
    return forecast


@triton.jit
def moved_logits(u, forecast, offset, weight, bias, V: tl.constexpr, V2: tl.constexpr, D2: tl.constexpr):
    """Return the share of one forecast in the logits, (M, V2): its kernel over the difference to the forecast modulo V."""
    kernel = linear(u, weight, bias, D2, V2)
    symbol = tl.minimum(tl.maximum(forecast - offset, 0), V - 1).to(tl.int32)
    difference = (tl.arange(0, V2)[None, :] - symbol[:, None]) & (V - 1)
    return tl.where((forecast >= 0)[:, None], tl.gather(kernel, difference, 1), 0.0)


@triton.jit
def pixel_logits(
    u, weight, bias, offset, values, near, forecasts,
    C: tl.constexpr, V: tl.constexpr, V2: tl.constexpr, D2: tl.constexpr, LEFT: tl.constexpr, ABOVE: tl.constexpr,
    ABOVE_LEFT: tl.constexpr, ABOVE_RIGHT: tl.constexpr, SLICE_FORECASTS: tl.constexpr, IMAGE_FORECASTS: tl.constexpr,
):  # fmt: skip
    """Return the logits of a channel, (M, V2): plain ones, and the kernel of each forecast, of the slice and of the image.

    `values`, `forecasts`: (M,) pointers to the channel at the first slot, and at the first forecast from the image.
    """
    logits = linear(u, weight, bias, D2, V2)
    left, above = tl.load(values + tl.load(near + LEFT) * C), tl.load(values + tl.load(near + ABOVE) * C)
    above_left = tl.load(values + tl.load(near + ABOVE_LEFT) * C)
    above_right = tl.load(values + tl.load(near + ABOVE_RIGHT) * C)
    weight, bias = weight + D2 * V2, bias + V2
    for which in tl.static_range(SLICE_FORECASTS):
        forecast = slice_forecast(left, above, above_left, above_right, which)
        logits += moved_logits(u, forecast, offset, weight + which * D2 * V2, bias + which * V2, V, V2, D2)
    weight, bias = weight + SLICE_FORECASTS * D2 * V2, bias + SLICE_FORECASTS * V2
    for which in range(IMAGE_FORECASTS):
        forecast = tl.load(forecasts + which * C)
        logits += moved_logits(u, forecast, offset, weight + which * D2 * V2, bias + which * V2, V, V2, D2)
    return logits


@triton.jit
def guided(logits, guidance, M: tl.constexpr, V2: tl.constexpr):
    """Return the guided logits, (M, V2), in both lanes of each row: `models.sampling.guidance.guided`."""
    token = tl.arange(0, M)
    other = tl.gather(logits, tl.broadcast_to((token ^ 1)[:, None], (M, V2)), 0)
    is_conditional = (token % 2 == 0)[:, None]
    conditional = tl.where(is_conditional, logits, other)
    unconditional = tl.where(is_conditional, other, logits)
    strength = guidance[:, None]
    mixed = unconditional + strength * (conditional - unconditional)
    return tl.where(strength == 1.0, conditional, mixed)


@triton.jit
def gumbel_max(logits, noise, temperature, V: tl.constexpr, V2: tl.constexpr):
    """Return a symbol for each token, (M,) int32: `models.sampling.noise.gumbel_max`; V where a logit is NaN."""
    symbol = tl.arange(0, V2)[None, :] < V
    score = tl.where(symbol, logits / temperature[:, None] + noise, float("-inf"))
    is_nan = tl.max((score != score).to(tl.int32), 1) > 0  # noqa: PLR0124 - only NaN differs from itself
    return tl.where(is_nan, V, tl.argmax(score, 1, tie_break_left=True).to(tl.int32))


@triton.jit
def block(
    x, gates, w, layer, grid, keys, contents, position, inside, slot, taps,
    M: tl.constexpr, D: tl.constexpr, D2: tl.constexpr, P2: tl.constexpr, T: tl.constexpr,
    HEADS: tl.constexpr, DEPTH: tl.constexpr, N: tl.constexpr, EXPANSION: tl.constexpr, KEYS: tl.constexpr,
):  # fmt: skip
    """Return x, (M, D2), after `models.layers.Block`. `gates`: (M, 1) pointers to the token's 2 D conditioning numbers.

    Only tokens `inside` the slice, (M,), write to `grid`, `keys` and `contents`.
    """
    column = tl.arange(0, D2)[None, :]
    norms = w.norm + layer * 6 * D2
    h = layer_norm(x, norms, norms + D2, D, D2)
    slim = linear(h, w.narrow + layer * D2 * P2, w.narrow_bias + layer * P2, D2, P2)
    tl.store(grid + slot[:, None] * P2 + tl.arange(0, P2)[None, :], slim, mask=inside[:, None])
    tl.debug_barrier()
    value = tl.load(gates + column, mask=column < D, other=0.0) + vector(w.gates_bias + layer * 2 * D2, D2)
    opening = tl.load(gates + D + column, mask=column < D, other=0.0)
    opening += vector(w.gates_bias + (layer * 2 + 1) * D2, D2)
    h = gated_convolution(value, opening, slim, grid, taps, w.gates + layer * 2 * (T + 1) * P2 * D2, T, P2, D2)
    x += linear(h, w.near_out + layer * D2 * D2, w.near_out_bias + layer * D2, D2, D2)

    h = layer_norm(x, norms + 2 * D2, norms + 3 * D2, D, D2)
    x += vector(w.far_out_bias + layer * D2, D2)
    for head in range(HEADS):
        query = w.qkv + (layer * 3 * HEADS + head) * D2 * DEPTH
        own = position[:, None] * DEPTH + tl.arange(0, DEPTH)[None, :]
        bias = w.qkv_bias + (layer * 3 * HEADS + head) * DEPTH
        q = linear(h, query, bias, D2, DEPTH)
        k = linear(h, query + HEADS * D2 * DEPTH, bias + HEADS * DEPTH, D2, DEPTH)
        v = linear(h, query + 2 * HEADS * D2 * DEPTH, bias + 2 * HEADS * DEPTH, D2, DEPTH)
        cache = head * N * DEPTH
        tl.store(keys + cache + own, k.to(keys.dtype.element_ty), mask=inside[:, None])
        tl.store(contents + cache + own, v.to(contents.dtype.element_ty), mask=inside[:, None])
        tl.debug_barrier()
        found = attention(q, keys + cache, contents + cache, position, M, DEPTH, KEYS)
        x += product(found, w.far_out + (layer * HEADS + head) * DEPTH * D2, DEPTH, D2)

    h = layer_norm(x, norms + 4 * D2, norms + 5 * D2, D, D2)
    x += vector(w.feed_out_bias + layer * D2, D2)
    for part in range(EXPANSION):
        which = layer * EXPANSION + part
        x += product(
            gelu(linear(h, w.feed_in + which * D2 * D2, w.feed_in_bias + which * D2, D2, D2)),
            w.feed_out + which * D2 * D2, D2, D2,
        )  # fmt: skip
    return x


@triton.jit
def embed_pixel(
    pixels, values, slot, known, w, unit, C: tl.constexpr, V: tl.constexpr, P2: tl.constexpr, M: tl.constexpr
):
    """Write the embedded pixels at `slot`, (M,), where `known`. `pixels`, `values`: pointers to the first slots."""
    column = tl.arange(0, P2)[None, :]
    pixel = tl.zeros((M, P2), tl.float32) + vector(w.number_bias, P2)
    for channel in range(C):
        value = tl.load(values + slot * C + channel, mask=known, other=0)
        pixel += (value.to(tl.float32) * unit - 1.0)[:, None] * vector(w.number + channel * P2, P2)
        pixel += tl.load(w.tables + (channel * V + (value & (V - 1)))[:, None] * P2 + column)
    tl.store(pixels + slot[:, None] * P2 + column, pixel, mask=known[:, None])


@triton.jit
def guess_pixel(
    values, offsets, means, own, position, inside, seen, slot,
    SIDE: tl.constexpr, C: tl.constexpr, V: tl.constexpr,
):  # fmt: skip
    """Write a guess where no pass has sampled yet: `models.sampling.passes.Pass`.

    `offsets`, `means`: (M,) pointers to the token's smallest values, and to the means of its known neighbours in the image.
    """
    has_above = (position >= SIDE) & (position - SIDE < seen)
    above = tl.load(own + tl.maximum(position - SIDE, 0))
    last = tl.load(own + tl.maximum(seen - 1, 0))
    for channel in range(C):
        offset, mean = tl.load(offsets + channel), tl.load(means + channel)
        guess = tl.where(seen > 0, tl.load(values + last * C + channel), offset)
        guess = tl.where(has_above, tl.load(values + above * C + channel), guess)
        guess = tl.where(mean < 0, guess, mean)
        guess = offset + tl.minimum(tl.maximum(guess - offset, 0), V - 1)
        tl.store(values + slot * C + channel, guess, mask=inside & (position >= seen))


@triton.jit
def as_guessed(values, offsets, symbols, slot, inside, C: tl.constexpr):
    """Return whether all symbols of a token, (M,), are those of its guess."""
    right = inside
    for channel in range(C):
        value = tl.load(offsets + channel) + tl.load(symbols + channel)
        right = right & (value == tl.load(values + slot * C + channel))
    return right


@triton.jit
def first_of_row(place, ROWS: tl.constexpr, EACH: tl.constexpr):
    """Return the least of `place`, (ROWS * EACH,), among the EACH tokens of a row, for each of them."""
    least = tl.min(tl.reshape(place, (ROWS, EACH)), 1)
    return tl.reshape(tl.broadcast_to(least[:, None], (ROWS, EACH)), (ROWS * EACH,))


@triton.jit(do_not_specialize=["rows"])
def sample_slices(
    slices, w, scratch, own, taps, rows, unit,
    M: tl.constexpr, LANES: tl.constexpr, WINDOW: tl.constexpr, BOARD_LANES: tl.constexpr, N: tl.constexpr,
    SIDE: tl.constexpr, SLOTS: tl.constexpr,
    D: tl.constexpr, D2: tl.constexpr, P2: tl.constexpr, T: tl.constexpr, LEFT: tl.constexpr, ABOVE: tl.constexpr,
    ABOVE_LEFT: tl.constexpr, ABOVE_RIGHT: tl.constexpr, HEADS: tl.constexpr, DEPTH: tl.constexpr,
    BLOCKS: tl.constexpr, EXPANSION: tl.constexpr,
    KEYS: tl.constexpr, C: tl.constexpr, V: tl.constexpr, V2: tl.constexpr,
    SLICE_FORECASTS: tl.constexpr, IMAGE_FORECASTS: tl.constexpr,
):  # fmt: skip
    """Sample the slices of all rows whose `front` is 0, those of the others, N, being final; write their values.

    `slices`, `w`, `scratch`: named tuples of pointers (`models.sampling.persistent.tensors`). `own`, `taps`: tables of the
    Raster, int32. `unit`: 2 / (largest value). WINDOW: positions of a row in a pass. Tokens beyond the last row, of a final
    row or beyond the last position are idle: they compute, and change nothing that another token reads.
    """
    FORECASTS: tl.constexpr = SLICE_FORECASTS + IMAGE_FORECASTS
    EACH: tl.constexpr = LANES * WINDOW  # tokens of a row
    ROWS: tl.constexpr = M // EACH  # of a program
    token = tl.arange(0, M)
    place, side = token % EACH // LANES, token % LANES
    of_board = tl.program_id(0) * ROWS + token // EACH
    row = tl.minimum(of_board, rows - 1).to(tl.int64)
    cell = (of_board.to(tl.int64) * LANES + side)[:, None]
    cells, each = tl.num_programs(0) * ROWS * LANES, (tl.program_id(0) * M + token).to(tl.int64)
    lane = row * BOARD_LANES + side
    d2, v2 = tl.arange(0, D2)[None, :], tl.arange(0, V2)[None, :]
    temperature, guidance = tl.load(slices.temperature + row), tl.load(slices.guidance + row)
    pixels, values = scratch.pixels + cell * SLOTS * P2, slices.sampled + row * SLOTS * C
    front = tl.where(of_board < rows, tl.load(slices.front + row), N).to(tl.int32)
    seen, passes = front, 0  # positions below `seen` have a guess or a sample
    while tl.min(front, 0) < N:
        position = tl.minimum(front + place, N)
        inside = position < N
        slot, near, cache = tl.load(own + position), taps + position * T, tl.where(inside, position, 0)
        at, first_at = lane * N + cache, row * BOARD_LANES * N + cache
        if WINDOW > 1:
            means = slices.forecasts + (first_at * IMAGE_FORECASTS + IMAGE_FORECASTS - 1) * C
            guess_pixel(values, slices.offset + first_at * C, means, own, position, inside, seen, slot, SIDE, C, V)
            tl.debug_barrier()
        before = tl.load(own + tl.maximum(position - 1, 0))
        embed_pixel(pixels, values, before, inside & (position > 0), w, unit, C, V, P2, M)
        tl.debug_barrier()
        x = tl.load(slices.start + at[:, None] * D + d2, mask=d2 < D, other=0.0) + vector(w.first_bias, D2)
        x = first_layer(x, pixels, near, w.first, T, P2, D2)
        for layer in range(BLOCKS):
            of_layer = layer * cells + cell
            x = block(
                x, slices.gates + (at[:, None] * BLOCKS + layer) * 2 * D, w, layer, scratch.grids + of_layer * SLOTS * P2,
                scratch.keys + of_layer * HEADS * N * DEPTH, scratch.contents + of_layer * HEADS * N * DEPTH,
                cache, inside, slot, near, M, D, D2, P2, T, HEADS, DEPTH, N, EXPANSION, KEYS,
            )  # fmt: skip
        h = layer_norm(x, w.last_norm, w.last_norm + D2, D, D2)
        for channel in range(C):
            hidden = linear(h, w.hidden + channel * D2 * D2, w.hidden_bias + channel * D2, D2, D2)
            for earlier in range(channel):
                known = tl.load(scratch.symbols + each * C + earlier)
                hidden += tl.load(w.earlier + ((earlier * C + channel) * V + (known & (V - 1)))[:, None] * D2 + d2)
            u = gelu(hidden)
            offset = tl.load(slices.offset + first_at * C + channel)
            logits = pixel_logits(
                u, w.out + channel * (1 + FORECASTS) * D2 * V2, w.out_bias + channel * (1 + FORECASTS) * V2, offset,
                values + channel, near, slices.forecasts + first_at * IMAGE_FORECASTS * C + channel,
                C, V, V2, D2, LEFT, ABOVE, ABOVE_LEFT, ABOVE_RIGHT, SLICE_FORECASTS, IMAGE_FORECASTS,
            )  # fmt: skip
            if LANES > 1:
                logits = guided(logits, guidance, M, V2)
            noise = tl.load(slices.noise + ((row * N + cache) * C + channel)[:, None] * V + v2, mask=v2 < V, other=0.0)
            tl.store(scratch.symbols + each * C + channel, gumbel_max(logits, noise, temperature, V, V2))
            tl.debug_barrier()
        if WINDOW > 1:
            right = as_guessed(values, slices.offset + first_at * C, scratch.symbols + each * C, slot, inside, C)
            accepted = first_of_row(tl.where(right, WINDOW, place), ROWS, EACH) + 1
            seen = tl.maximum(seen, tl.minimum(front + WINDOW, N))
            front = tl.minimum(front + tl.minimum(accepted, WINDOW), N)
            tl.debug_barrier()
        else:
            front = tl.minimum(front + 1, N)
        for channel in range(C):
            value = tl.load(slices.offset + first_at * C + channel) + tl.load(scratch.symbols + each * C + channel)
            tl.store(values + slot * C + channel, value, mask=inside)
        passes += 1
        tl.debug_barrier()
    tl.store(scratch.passes + tl.program_id(0), passes)
