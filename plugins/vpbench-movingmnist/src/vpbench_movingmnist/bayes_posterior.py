"""What the whole-pixel places of a digit in some frames say about where it will be: the exact posterior.

The unknowns of a digit are its start (x, y) ~ U(0, 1)² and its direction theta ~ U(0, 2 pi), see `generator`. Given
the direction the axes are independent, and along one axis the starting points that agree with what was observed are
few intervals: one for each move in which the digit may have met its first wall, and one for those that met none yet.
Within an interval of the first kind all later places are the same, for a wall forgets how far one was from it; a
digit of the second kind moves on unchanged. So, with density 1 on every interval,

    p(theta | observed)  ~  L_y(theta) L_x(theta),   L = total length of the intervals of an axis
    P_t(i, j)            =  integral p(theta | observed) p_y,t(i | theta) p_x,t(j | theta) dtheta

where both factors are lengths of intervals: all is exact but the integral over theta. That one is taken by the
midpoint rule, on the directions that are possible at all. Those are found exactly too, as they may be a millionth of
the circle: for each history of walls, the constraints are linear in start and speed.

M moves, N directions, T times. Axes are (y, x). Frame k shows a digit after k + 1 moves. Places are pixels 0..canvas.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .generator import STEP, compiled, step

#: Number of directions of the midpoint rule, and the least in each arc of possible directions. The error of a forecast
#: in total variation is 2e-4 for 90 frames after 10, 2e-3 for 38 after 2 and 6e-3 for 20 after 1; twice the directions,
#: half the error, and at other speeds it is about the same. A place that is less probable than 1e-4 may be missed.
DIRECTIONS, LEAST_PER_ARC = 2048, 32

#: Place of a digit in a frame that was not observed.
UNKNOWN = -1


class Posterior(NamedTuple):
    """What is known of one digit after M moves; see `condition`."""

    observed: np.ndarray  #: int64 (M, 2): its place after each move, UNKNOWN where nobody looked
    directions: np.ndarray  #: float64 (N, 2): unit velocities (v_y, v_x), nodes of the quadrature
    spans: np.ndarray  #: float64 (N,): the angle that each stands for, radians
    canvas: int  #: largest place
    stride: float  #: how far it moves per frame, share of the canvas


def condition(observed: np.ndarray, *, canvas: int, stride: float = STEP, directions: int = DIRECTIONS) -> Posterior:
    """The posterior of a digit given its places, int64 (M, 2), pixels, UNKNOWN where it was not observed.

    stride      how far the digit moves per frame, share of the canvas, at most 1
    directions  number of nodes of the quadrature over the possible directions

    Raises ValueError where no trajectory of the generator goes through these places.
    """
    velocities, spans = _directions(observed, canvas, stride, directions)
    possible = _lengths(velocities, observed, canvas, stride) > 0
    if not possible.any():
        raise ValueError("no trajectory of the generator goes through these places")
    return Posterior(observed, velocities[possible], spans[possible], canvas, stride)


def forecast(posterior: Posterior, moves: np.ndarray) -> np.ndarray:
    """Where the digit is after these moves, int64 (T,), >= M: probabilities float64 (T, canvas + 1, canvas + 1).

    Entry [t, i, j] is that of place (i, j); the sum over places is 1. A time has the same bits whatever others are
    asked for beside it.
    """
    if moves.size and moves.min() < len(posterior.observed):
        raise ValueError(f"{moves.min()} moves are asked for, the last observed place is after more")
    maps = np.zeros((len(moves), posterior.canvas + 1, posterior.canvas + 1))
    _forecast(tuple(posterior), moves, max(moves, default=0), maps)
    return maps / maps.sum(axis=(1, 2), keepdims=True)


def draw(posterior: Posterior, uniform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One start and velocity of the digit from its posterior, float64 (2,) each, as `generator.move` takes them.

    uniform  float64 (3,) in [0, 1): direction, and where along y and x
    """
    observed, directions, spans, canvas, stride = posterior
    below = np.cumsum(spans * _lengths(directions, observed, canvas, stride))
    velocity = directions[np.searchsorted(below, uniform[0] * below[-1], side="right")]
    start = [_start_at(velocity[axis], observed[:, axis], canvas, stride, uniform[1 + axis]) for axis in range(2)]
    return np.array(start), velocity.copy()


# --------------------------------------------------------------------------------------------- given the direction


@compiled
def _scratch(moves):  # type: ignore[no-untyped-def]
    """Memory for `_starts`: places (moves,), met (moves,) and hits (moves, 2)."""
    return np.empty(moves, dtype=np.int64), np.empty(moves, dtype=np.int64), np.empty((moves, 2))


@compiled
def _starts(velocity, observed, canvas, stride, moves, scratch):  # type: ignore[no-untyped-def]
    """The starting points along one axis that agree with the observed places, as intervals; `moves` is at least M.

    scratch   out: `places[j]`, the place j moves after the digit met its first wall; `hits[h]`, an interval of starting
              points that meet their first wall in move `met[h]`, increasing
    returns   number of hits, and the interval of starting points that meet no wall in the M observed moves, empty where
              low >= high
    """
    places, met, hits = scratch
    shift = stride * velocity
    x, v = (1.0, -velocity) if velocity > 0.0 else (0.0, -velocity)
    places[0] = int(canvas * x)
    for j in range(1, moves):
        x, v = step(x, v, stride)
        places[j] = int(canvas * x)
    count = 0
    low, high = 0.0, 1.0
    for move in range(1, len(observed) + 1):
        hit_low, hit_high, low, high = _split(low, high, move, shift)
        if hit_low < hit_high:
            agrees = True
            for later in range(move, len(observed) + 1):
                place = observed[later - 1]
                agrees = agrees and (place == UNKNOWN or place == places[later - move])
            if agrees:
                met[count], hits[count, 0], hits[count, 1] = move, hit_low, hit_high
                count += 1
        place = observed[move - 1]
        if place != UNKNOWN:
            low = max(low, place / canvas - move * shift)
            high = min(high, (place + 1) / canvas - move * shift)
    rest_low, rest_high = low, high
    for move in range(len(observed) + 1, moves + 1):
        if rest_low >= rest_high:
            break
        hit_low, hit_high, rest_low, rest_high = _split(rest_low, rest_high, move, shift)
        if hit_low < hit_high:
            met[count], hits[count, 0], hits[count, 1] = move, hit_low, hit_high
            count += 1
    return count, low, high


@compiled
def _split(low, high, move, shift):  # type: ignore[no-untyped-def]
    """Starting points that met no wall before: those that meet one in this move, and those that do not."""
    if shift > 0.0:
        wall = max(low, min(high, 1.0 - move * shift))
        return wall, high, low, wall
    wall = min(high, max(low, -move * shift))
    return low, wall, wall, high


@compiled
def _lengths(velocities, observed, canvas, stride):  # type: ignore[no-untyped-def]
    """L_y L_x of each direction: how much of the square of starting points agrees with the observed places."""
    scratch = _scratch(len(observed))
    lengths = np.ones(len(velocities))
    for n in range(len(velocities)):
        for axis in range(2):
            count, low, high = _starts(velocities[n, axis], observed[:, axis], canvas, stride, len(observed), scratch)
            lengths[n] *= _length(scratch[2], count, low, high)
    return lengths


@compiled
def _length(hits, count, low, high):  # type: ignore[no-untyped-def]
    length = max(0.0, high - low)
    for hit in range(count):
        length += hits[hit, 1] - hits[hit, 0]
    return length


@compiled
def _start_at(velocity, observed, canvas, stride, share):  # type: ignore[no-untyped-def]
    """The starting point that has this share, in [0, 1), of all that agree with the observed places before it."""
    scratch = _scratch(len(observed))
    hits = scratch[2]
    count, low, high = _starts(velocity, observed, canvas, stride, len(observed), scratch)
    rest = share * _length(hits, count, low, high)
    for hit in range(count):
        length = hits[hit, 1] - hits[hit, 0]
        if rest < length:
            return hits[hit, 0] + rest
        rest -= length
    return min(low + rest, np.nextafter(high, low))


@compiled
def _spread(shift, observed_moves, move, canvas, scratch, starts, where, mass):  # type: ignore[no-untyped-def]
    """Places after this move, and the length of starting points that are there then.

    shift         how far the digit moves per frame along this axis, share of the canvas
    starts        what `_starts` gave with this scratch
    where, mass   out, (canvas + 1,): the places, each once, and their lengths
    returns       number of places
    """
    places, met, hits = scratch
    count, low, high = starts
    found = 0
    for hit in range(count):
        if met[hit] > move:
            break
        found = _add(places[move - met[hit]], hits[hit, 1] - hits[hit, 0], where, mass, found)
    if move > observed_moves:
        _, _, low, high = _split(low, high, move, shift)
    if low < high:
        begin, end = canvas * (low + move * shift), canvas * (high + move * shift)
        for place in range(max(0, int(begin)), min(canvas - 1, int(end)) + 1):
            length = (min(end, place + 1.0) - max(begin, float(place))) / canvas
            if length > 0.0:
                found = _add(place, length, where, mass, found)
    return found


@compiled
def _add(place, length, where, mass, found):  # type: ignore[no-untyped-def]
    for known in range(found):
        if where[known] == place:
            mass[known] += length
            return found
    where[found], mass[found] = place, length
    return found + 1


@compiled
def _forecast(posterior, moves, last, maps):  # type: ignore[no-untyped-def]
    """Add up p_y,t(i) p_x,t(j) over the directions into maps, (T, canvas + 1, canvas + 1); last: the largest move."""
    observed, directions, spans, canvas, stride = posterior
    y, x = _scratch(last), _scratch(last)
    where_y, length_y = np.empty(canvas + 1, dtype=np.int64), np.empty(canvas + 1)
    where_x, length_x = np.empty(canvas + 1, dtype=np.int64), np.empty(canvas + 1)
    for n in range(len(directions)):
        v_y, v_x = directions[n, 0], directions[n, 1]
        starts_y = _starts(v_y, observed[:, 0], canvas, stride, last, y)
        starts_x = _starts(v_x, observed[:, 1], canvas, stride, last, x)
        for t in range(len(moves)):
            n_y = _spread(stride * v_y, len(observed), moves[t], canvas, y, starts_y, where_y, length_y)
            n_x = _spread(stride * v_x, len(observed), moves[t], canvas, x, starts_x, where_x, length_x)
            for i in range(n_y):
                for j in range(n_x):
                    maps[t, where_y[i], where_x[j]] += spans[n] * length_y[i] * length_x[j]


# --------------------------------------------------------------------------------------------- possible directions


@compiled
def _directions(observed, canvas, stride, nodes):  # type: ignore[no-untyped-def]
    """Midpoints of the possible directions: unit velocities (N, 2), and the angle that each stands for."""
    arcs = np.empty((0, 4))  # rows (from, to, sign of v_y, sign of v_x), angles in [0, pi / 2]
    for sign_y in (-1.0, 1.0):
        speeds_y = _speeds(observed[:, 0], sign_y > 0.0, canvas, stride)
        for sign_x in (-1.0, 1.0):
            speeds_x = _speeds(observed[:, 1], sign_x > 0.0, canvas, stride)
            arcs = np.concatenate((arcs, _arcs(speeds_y, speeds_x, sign_y, sign_x)))
    whole = (arcs[:, 1] - arcs[:, 0]).sum()
    counts = np.empty(len(arcs), dtype=np.int64)
    for arc in range(len(arcs)):
        counts[arc] = max(LEAST_PER_ARC, math.ceil(nodes * (arcs[arc, 1] - arcs[arc, 0]) / whole))
    velocities, spans = np.empty((counts.sum(), 2)), np.empty(counts.sum())
    n = 0
    for arc in range(len(arcs)):
        span = (arcs[arc, 1] - arcs[arc, 0]) / counts[arc]
        for k in range(counts[arc]):
            angle = arcs[arc, 0] + (k + 0.5) * span
            velocities[n, 0], velocities[n, 1] = arcs[arc, 2] * math.sin(angle), arcs[arc, 3] * math.cos(angle)
            spans[n] = span
            n += 1
    return velocities, spans


@compiled
def _arcs(speeds_y, speeds_x, sign_y, sign_x):  # type: ignore[no-untyped-def]
    """Directions of one quadrant with sin and cos in these sets of intervals: disjoint arcs, rows as `_directions`."""
    arcs = np.empty((len(speeds_y) * len(speeds_x), 4))
    count = 0
    for y in range(len(speeds_y)):
        for x in range(len(speeds_x)):
            begin = max(math.asin(speeds_y[y, 0]), math.acos(speeds_x[x, 1]))
            end = min(math.asin(speeds_y[y, 1]), math.acos(speeds_x[x, 0]))
            if begin < end:
                arcs[count] = begin, end, sign_y, sign_x
                count += 1
    arcs = arcs[:count]
    arcs = arcs[np.argsort(arcs[:, 0])]
    merged = 0
    for arc in range(1, count):
        if arcs[arc, 0] <= arcs[merged, 1]:
            arcs[merged, 1] = max(arcs[merged, 1], arcs[arc, 1])
        else:
            merged += 1
            arcs[merged] = arcs[arc]
    return arcs[: min(count, merged + 1)]


@compiled
def _speeds(observed, rising, canvas, stride):  # type: ignore[no-untyped-def]
    """Intervals that hold every |v| along one axis at which some start goes through the observed places, (n, 2).

    Along the motion, s = x where the coordinate rises and 1 - x where it falls, the digit starts at s_0 in [0, 1] and
    is at s_0 + k c after k moves, until it meets the wall at 1. Constraints low_k <= s_0 + k c <= high_k can be met
    together if each two of them can (intervals on a line, Helly), which leaves an interval of c.
    """
    moves = len(observed)
    near = canvas if rising else 0  # the place of the wall it moves to
    low, high = np.zeros(moves + 1), np.ones(moves + 1)
    slowest, fastest = 0.0, stride
    found = np.empty((0, 2))
    for move in range(1, moves + 1):
        place = observed[move - 1]
        if place in (UNKNOWN, near):  # it may meet the wall in this move
            least = slowest
            for k in range(move):
                least = max(least, (1.0 - high[k]) / (move - k))
            found = np.concatenate((found, _speeds_after_wall(observed, move, rising, canvas, stride, least, fastest)))
        if place == canvas:  # which is a wall, and there is no place beyond it
            return found
        if place != UNKNOWN:
            low[move] = place / canvas if rising else 1.0 - (place + 1) / canvas
            high[move] = (place + 1) / canvas if rising else 1.0 - place / canvas
        for k in range(move):
            slowest = max(slowest, (low[move] - high[k]) / (move - k))
            fastest = min(fastest, (high[move] - low[k]) / (move - k))
        if slowest >= fastest:
            return found
    last = np.empty((1, 2))
    last[0] = slowest / stride, fastest / stride
    return np.concatenate((found, last))


@compiled
def _speeds_after_wall(observed, wall, rising, canvas, stride, slowest, fastest):  # type: ignore[no-untyped-def]
    """Of speeds between these two, those that agree with the places after the move that met the wall, (n, 2).

    A digit at a wall that moves c per frame meets the other one after the least number of moves n with n c >= 1, and
    so on for ever. For each n, every later place is a constraint on c alone.
    """
    moves = len(observed)
    after = moves - wall
    near, far = (canvas, 0) if rising else (0, canvas)
    fewest = max(2, int(1.0 / stride))  # no digit crosses the canvas in fewer moves; one needs a stride above 1
    found = np.empty((max(1, after + 2 - fewest), 2))
    count = 0
    for across in range(fewest, max(after + 2, fewest + 1)):
        least = max(slowest, 1.0 / across if across <= after else 0.0)
        most = min(fastest, 1.0 / (across - 1))
        for j in range(after + 1):
            place = observed[wall + j - 1]
            phase = j % (2 * across)
            if place == UNKNOWN:
                continue
            if phase == 0 or phase == across:
                if place != (near if phase == 0 else far):
                    least = most
                continue
            low = place / canvas if rising else 1.0 - (place + 1) / canvas
            high = (place + 1) / canvas if rising else 1.0 - place / canvas
            if phase < across:  # on the way back, at 1 - phase c
                least, most = max(least, (1.0 - high) / phase), min(most, (1.0 - low) / phase)
            else:
                least, most = max(least, low / (phase - across)), min(most, high / (phase - across))
        if least < most:
            found[count] = least / stride, most / stride
            count += 1
    return found[:count]
