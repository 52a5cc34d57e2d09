"""Compiled loops of the surface fit: what voxels see of a tube, the mixture, the normal equations.

A voxel lies at the edge of one or two parts only, and a cubic spline has four coefficients there: most
of the Jacobian is zero. The loops skip the zeros, run in one thread and give the same bits on every run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
from numba import njit

from nvc_pipeline.geometry import FloatArray

IntArray = npt.NDArray[np.int64]
F = TypeVar("F", bound=Callable[..., Any])


def jit(function: F) -> F:
    """Compile a loop; its type stays the plain function's."""
    return cast("F", njit(cache=True)(function))


@jit
def bessel(x: float, series: FloatArray, middle: float) -> tuple[float, float]:
    """Return the scaled Bessel functions ``exp(-x) I0(x)`` and ``exp(-x) I1(x)``, x not negative.

    ``series`` (2, n) are Chebyshev series of both times ``sqrt(1 + x)`` over ``(x - middle) / (x + middle)``,
    summed by Clenshaw's recurrence.
    """
    y = (x - middle) / (x + middle)
    one, two, before_one, before_two = 0.0, 0.0, 0.0, 0.0
    for k in range(series.shape[1] - 1, 0, -1):
        one, before_one = 2.0 * y * one - before_one + series[0, k], one
        two, before_two = 2.0 * y * two - before_two + series[1, k], two
    root = 1.0 / np.sqrt(1.0 + x)
    return (y * one - before_one + series[0, 0]) * root, (y * two - before_two + series[1, 0]) * root


@jit
def bicubic(pieces: FloatArray, x: FloatArray, y: FloatArray, at_x: float, at_y: float) -> float:
    """Return a piecewise bicubic at one place inside its breaks.

    ``pieces`` (len(x) - 1, len(y) - 1, 4, 4) holds the powers, highest first, of the way from a piece's
    lower breaks.
    """
    i = min(max(int(np.searchsorted(x, at_x, side="right")) - 1, 0), len(x) - 2)
    j = min(max(int(np.searchsorted(y, at_y, side="right")) - 1, 0), len(y) - 2)
    piece, u, v = pieces[i, j], at_x - x[i], at_y - y[j]
    total = 0.0
    for a in range(4):
        row = ((piece[a, 0] * v + piece[a, 1]) * v + piece[a, 2]) * v + piece[a, 3]
        total = total * u + row
    return total


@jit
def see_tube(
    voxels: FloatArray,
    shifts: FloatArray,
    weights: FloatArray,
    sigma: float,
    reach: float,
    axis: FloatArray,
    ahead: FloatArray,
    first: FloatArray,
    second: FloatArray,
    basis: FloatArray,
    radius: FloatArray,
    flattening: FloatArray,
    least_mm: float,
    table: tuple[FloatArray, FloatArray, FloatArray],
    series: FloatArray,
    middle: float,
    value: FloatArray,
    by_sigma: FloatArray,
    jacobian: FloatArray,
) -> None:
    """Add up what voxels see of a tube through a blur that is a weighted sum of shifted round ones.

    Parameters
    ----------
    voxels, shifts, weights, sigma:
        Centres (N, 3) and shifts (Q, 3), mm, weights (Q,) of sum 1, SD of the round blur, mm.
    reach:
        Farther than this from the surface, in units of sigma, a voxel is all fluid or all tube.
    axis, ahead, first, second:
        The placed axis, its steps and two normals, (M, 3) each, mm.
    basis, radius, flattening:
        The spline basis (M, K), and the coefficients of the radius (K,) and of the ellipse (2, K),
        or (0, K) for a round tube.
    least_mm:
        Floor of the radius.
    table, series, middle:
        Of the fraction and of the Bessel functions, see :mod:`nvc_pipeline.trace.blur`.
    value, by_sigma, jacobian:
        Results (N,), (N,) and (N, size), begun with zeros: the fraction, its derivatives by log sigma and
        by the parameters. With a ``jacobian`` of no columns derivatives are left out.
    """
    points, count = axis.shape[0], basis.shape[1]
    step = np.empty(points)
    along = np.empty(points)
    # The splines that are not zero at a point of the axis: four or fewer, side by side.
    low, high = np.empty(points, dtype=np.int64), np.empty(points, dtype=np.int64)
    for m in range(points):
        low[m], high[m] = count, 0
        for k in range(count):
            if basis[m, k] != 0.0:
                low[m], high[m] = min(low[m], k), k + 1
        step[m] = np.sqrt(ahead[m, 0] ** 2 + ahead[m, 1] ** 2 + ahead[m, 2] ** 2)
        total = 0.0
        for k in range(count):
            total += basis[m, k] * radius[k]
        along[m] = max(total, least_mm)
    furthest_shift = 0.0
    for q in range(len(shifts)):
        furthest_shift = max(
            furthest_shift, np.sqrt(shifts[q, 0] ** 2 + shifts[q, 1] ** 2 + shifts[q, 2] ** 2)
        )
    stretch = 1.0
    if len(flattening):
        for m in range(points):
            one, two = 0.0, 0.0
            for k in range(count):
                one += basis[m, k] * flattening[0, k]
                two += basis[m, k] * flattening[1, k]
            stretch = max(stretch, 1.0 + abs(one) + abs(two))
    farthest = along.max() * stretch + reach * sigma + furthest_shift + step.max()
    slopes = jacobian.shape[1] > 0
    local, apart = np.empty(count), np.empty(points)
    for n in range(len(voxels)):
        nearest = np.inf
        for m in range(points):
            apart[m] = (
                (voxels[n, 0] - axis[m, 0]) ** 2
                + (voxels[n, 1] - axis[m, 1]) ** 2
                + (voxels[n, 2] - axis[m, 2]) ** 2
            )
            nearest = min(nearest, apart[m])
        nearest = np.sqrt(nearest)
        if nearest > farthest:
            continue
        # A shift can bring no point nearer than these to be the nearest.
        limit = (nearest + 2.0 * furthest_shift) ** 2 * (1.0 + 1e-9) + 1e-9
        begin, end = 0, points
        while apart[begin] > limit:
            begin += 1
        while apart[end - 1] > limit:
            end -= 1
        for q in range(len(shifts)):
            x, y, z = (
                voxels[n, 0] + shifts[q, 0],
                voxels[n, 1] + shifts[q, 1],
                voxels[n, 2] + shifts[q, 2],
            )
            nearest, index = np.inf, 0
            for m in range(begin, end):
                away = (x - axis[m, 0]) ** 2 + (y - axis[m, 1]) ** 2 + (z - axis[m, 2]) ** 2
                if away < nearest:
                    nearest, index = away, m
            # The foot on the straight piece through the nearest point of the axis.
            unit0, unit1, unit2 = (
                ahead[index, 0] / step[index],
                ahead[index, 1] / step[index],
                ahead[index, 2] / step[index],
            )
            x, y, z = x - axis[index, 0], y - axis[index, 1], z - axis[index, 2]
            inside = min(max(x * unit0 + y * unit1 + z * unit2, -step[index]), step[index])
            if (index == 0 and inside < 0) or (index == points - 1 and inside > 0):
                inside = 0.0
            x, y, z = x - inside * unit0, y - inside * unit1, z - inside * unit2
            beyond = inside / step[index]
            other = index + (1 if beyond > 0 else -1 if beyond < 0 else 0)
            distance = np.sqrt(x * x + y * y + z * z + 1e-12)
            mean, one, two = 0.0, 0.0, 0.0
            first_k, last_k = min(low[index], low[other]), max(high[index], high[other])
            for k in range(first_k, last_k):
                local[k] = basis[index, k] + abs(beyond) * (basis[other, k] - basis[index, k])
                mean += local[k] * radius[k]
            mean = max(mean, least_mm)
            a = (x * first[index, 0] + y * first[index, 1] + z * first[index, 2]) / distance
            b = (x * second[index, 0] + y * second[index, 1] + z * second[index, 2]) / distance
            cosine, sine, own = 0.0, 0.0, mean
            if len(flattening):
                norm = max(a * a + b * b, 1e-12)
                cosine, sine = (a * a - b * b) / norm, 2.0 * a * b / norm
                for k in range(first_k, last_k):
                    one += local[k] * flattening[0, k]
                    two += local[k] * flattening[1, k]
                own = mean * max(1.0 + cosine * one + sine * two, 0.2)
            t = (distance - own) / sigma
            weight = weights[q]
            if abs(t) >= reach:
                if t < 0:
                    value[n] += weight
                continue
            u = own / sigma
            value[n] += weight * min(max(bicubic(table[0], table[1], table[2], t, 1.0 / (1.0 + u)), 0.0), 1.0)
            if not slopes:
                continue
            i0, i1 = bessel(distance / sigma * u, series, middle)
            common = u / sigma * np.exp(-0.5 * t * t)
            by_distance, by_radius = -common * i1, common * i0
            by_sigma[n] -= weight * (distance * by_distance + own * by_radius)
            # A move of the axis towards the voxel brings the surface nearer by as much.
            terms = (
                -weight * by_distance * a,
                -weight * by_distance * b,
                weight * by_radius * own / mean,
                weight * by_radius * mean * cosine,
                weight * by_radius * mean * sine,
            )
            for block in range(jacobian.shape[1] // count):
                for k in range(first_k, last_k):
                    jacobian[n, block * count + k] += terms[block] * local[k]


@jit
def _cubic(u: float, weights: FloatArray, slopes: FloatArray) -> None:
    """Write the four cubic B-splines of even knots at u in 0..1 of a span, and their slopes per span."""
    v = 1.0 - u
    weights[0], weights[3] = v * v * v / 6.0, u * u * u / 6.0
    weights[1] = (3.0 * u * u * u - 6.0 * u * u + 4.0) / 6.0
    weights[2] = 1.0 - weights[0] - weights[1] - weights[3]
    slopes[0], slopes[3] = -v * v / 2.0, u * u / 2.0
    slopes[1] = (3.0 * u * u - 4.0 * u) / 2.0
    slopes[2] = -slopes[0] - slopes[1] - slopes[3]


@jit
def over_patch(
    local: FloatArray,
    half: FloatArray,
    counts: IntArray,
    p: FloatArray,
    distance: FloatArray,
    jacobian: FloatArray,
) -> None:
    """Measure how far points lie over a patch whose height is a tensor spline.

    Parameters
    ----------
    local:
        Points in the patch's axes (N, 3), mm; beyond its rim the height of the rim counts.
    half, counts, p:
        Half sides (2,), mm, numbers of splines along both (2,), and their coefficients.
    distance, jacobian:
        Results: signed distance (N,), mm, positive outside, and its Jacobian (N, size), begun with zeros;
        with no columns it is left out.
    """
    one, two, one_slope, two_slope = np.empty(4), np.empty(4), np.empty(4), np.empty(4)
    span0, span1 = 2.0 * half[0] / (counts[0] - 3), 2.0 * half[1] / (counts[1] - 3)
    for n in range(len(local)):
        x = (min(max(local[n, 0], -half[0]), half[0]) + half[0]) / span0
        y = (min(max(local[n, 1], -half[1]), half[1]) + half[1]) / span1
        i, j = min(int(x), counts[0] - 4), min(int(y), counts[1] - 4)
        _cubic(x - i, one, one_slope)
        _cubic(y - j, two, two_slope)
        height, along, across = 0.0, 0.0, 0.0
        for a in range(4):
            for b in range(4):
                at = p[(i + a) * counts[1] + j + b]
                height += one[a] * two[b] * at
                along += one_slope[a] * two[b] * at / span0
                across += one[a] * two_slope[b] * at / span1
        tilt = 1.0 / np.sqrt(1.0 + along * along + across * across)
        distance[n] = (local[n, 2] - height) * tilt
        if jacobian.shape[1] > 0:
            for a in range(4):
                for b in range(4):
                    jacobian[n, (i + a) * counts[1] + j + b] = -one[a] * two[b] * tilt


@jit
def mix(
    fluid: FloatArray,
    ramp: FloatArray,
    brightness: FloatArray,
    values: FloatArray,
    by_sigma: FloatArray,
    starts: IntArray,
    model: FloatArray,
    out: FloatArray,
) -> None:
    """Mix fluid and parts to the modelled brightness; a part takes what the parts before it left.

    Parameters
    ----------
    fluid, ramp:
        Brightness (N,) of the fluid and its derivatives (N, 4) by the first four parameters.
    brightness, values, by_sigma:
        Of each part (parts,), and its fractions and their derivatives by log sigma (parts, N).
    starts:
        Where each part's columns begin, and the end of the last (parts + 1,).
    model, out:
        Results: the mixture (N,), and its Jacobian (N, P), begun with the fractions' derivatives in the
        parts' columns and zeros before them; with no columns it is left out.
    """
    parts, slopes = len(brightness), out.shape[1] > 0
    for n in range(len(fluid)):
        free, crowded = 1.0, parts
        model[n] = fluid[n]
        for i in range(parts):
            if values[i, n] > free and crowded == parts:
                crowded = i
            share = min(values[i, n], free)
            model[n] += share * (brightness[i] - fluid[n])
            if slopes:
                out[n, 4 + i] += share
            free -= share
        if not slopes:
            continue
        # What the parts before it take, the crowded one loses; it has no edge of its own here.
        lost = brightness[crowded] - fluid[n] if crowded < parts else 0.0
        for i in range(parts):
            gain = brightness[i] - fluid[n] - lost if i < crowded else 0.0
            out[n, 4 + parts] += by_sigma[i, n] * gain
            for k in range(starts[i], starts[i + 1]):
                if out[n, k] != 0.0:
                    out[n, k] *= gain
        for k in range(4):
            out[n, k] += ramp[n, k] * free


@jit
def normal_equations(
    jacobian: FloatArray, weight: FloatArray, residual: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return ``J' W J`` (P, P) and ``J' W r`` (P,) of a Jacobian (N, P) that is mostly zeros."""
    size = jacobian.shape[1]
    normal, gradient = np.zeros((size, size)), np.zeros(size)
    used, own = np.empty(size, dtype=np.int64), np.empty(size)
    for n in range(len(jacobian)):
        count = 0
        for k in range(size):
            if jacobian[n, k] != 0.0:
                used[count], own[count] = k, jacobian[n, k]
                count += 1
        for a in range(count):
            scaled, row = weight[n] * own[a], normal[used[a]]
            gradient[used[a]] += scaled * residual[n]
            for b in range(a + 1):
                row[used[b]] += scaled * own[b]
    for a in range(size):
        for b in range(a):
            normal[b, a] = normal[a, b]
    return normal, gradient
