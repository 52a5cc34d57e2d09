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


# Gauss-Hermite nodes and weights for a standard normal distribution, 3 and 5 of them.
_NODES3, _WEIGHTS3 = np.polynomial.hermite_e.hermegauss(3)
_NODES5, _WEIGHTS5 = np.polynomial.hermite_e.hermegauss(5)
_WEIGHTS3, _WEIGHTS5 = _WEIGHTS3 / _WEIGHTS3.sum(), _WEIGHTS5 / _WEIGHTS5.sum()
# An excess of variance below the first part of the smaller one is none; from the second on it takes 5 nodes.
_ROUND, _LONG = 0.02, 2.0


@jit
def across_axis(
    spread: FloatArray, ahead: FloatArray, first: FloatArray, sigma: FloatArray, excess: FloatArray
) -> None:
    """Split a Gaussian blur, at each point of an axis, into a round one and a smear, both across the axis.

    A long straight tube does not see what is blurred along it. What is left is a blur in the plane across
    with two principal widths: round with the smaller one, smeared along one direction by what the other
    has beyond it.

    Parameters
    ----------
    spread:
        Covariance of the blur (3, 3), mm2.
    ahead, first:
        Steps of the axis and a direction roughly across it, (M, 3) each.
    sigma, excess:
        Results: SD of the round part (M,), mm, and the smear's direction times its SD (M, 3), mm.
    """
    for m in range(len(ahead)):
        norm = np.sqrt(ahead[m, 0] ** 2 + ahead[m, 1] ** 2 + ahead[m, 2] ** 2)
        t0, t1, t2 = ahead[m, 0] / norm, ahead[m, 1] / norm, ahead[m, 2] / norm
        along = first[m, 0] * t0 + first[m, 1] * t1 + first[m, 2] * t2
        a0, a1, a2 = first[m, 0] - along * t0, first[m, 1] - along * t1, first[m, 2] - along * t2
        norm = np.sqrt(a0 * a0 + a1 * a1 + a2 * a2)
        a0, a1, a2 = a0 / norm, a1 / norm, a2 / norm
        b0, b1, b2 = t1 * a2 - t2 * a1, t2 * a0 - t0 * a2, t0 * a1 - t1 * a0
        aa, ab, bb = 0.0, 0.0, 0.0
        for i in range(3):
            ai = a0 if i == 0 else a1 if i == 1 else a2
            bi = b0 if i == 0 else b1 if i == 1 else b2
            row_a = spread[i, 0] * a0 + spread[i, 1] * a1 + spread[i, 2] * a2
            row_b = spread[i, 0] * b0 + spread[i, 1] * b1 + spread[i, 2] * b2
            aa, ab, bb = aa + ai * row_a, ab + ai * row_b, bb + bi * row_b
        half = np.sqrt(0.25 * (aa - bb) ** 2 + ab * ab)
        small = 0.5 * (aa + bb) - half
        if 2.0 * half < _ROUND * small:
            sigma[m] = np.sqrt(0.5 * (aa + bb))
            excess[m, 0], excess[m, 1], excess[m, 2] = 0.0, 0.0, 0.0
            continue
        sigma[m] = np.sqrt(small)
        angle, length = 0.5 * np.arctan2(2.0 * ab, aa - bb), np.sqrt(2.0 * half)
        c, s = np.cos(angle) * length, np.sin(angle) * length
        excess[m, 0], excess[m, 1], excess[m, 2] = c * a0 + s * b0, c * a1 + s * b1, c * a2 + s * b2


@jit
def see_tube(
    voxels: FloatArray,
    spread: FloatArray,
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
    """Add up what voxels see of a tube through a Gaussian blur.

    Across the tube the blur is a round one and a smear (:func:`across_axis`); the smear is a weighted
    sum of shifts.

    Parameters
    ----------
    voxels, spread:
        Centres (N, 3), mm, and covariance of the blur (3, 3), mm2.
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
    round_sigma, smear = np.empty(points), np.empty((points, 3))
    across_axis(spread, ahead, first, round_sigma, smear)
    furthest_shift = 0.0
    for m in range(points):
        smeared = np.sqrt(smear[m, 0] ** 2 + smear[m, 1] ** 2 + smear[m, 2] ** 2)
        furthest_shift = max(furthest_shift, _NODES5[4] * smeared)
    stretch = 1.0
    if len(flattening):
        for m in range(points):
            one, two = 0.0, 0.0
            for k in range(count):
                one += basis[m, k] * flattening[0, k]
                two += basis[m, k] * flattening[1, k]
            stretch = max(stretch, 1.0 + abs(one) + abs(two))
    farthest = along.max() * stretch + reach * round_sigma.max() + furthest_shift + step.max()
    slopes = jacobian.shape[1] > 0
    local = np.empty(count)
    for n in range(len(voxels)):
        nearest, index = np.inf, 0
        for m in range(points):
            apart = (
                (voxels[n, 0] - axis[m, 0]) ** 2
                + (voxels[n, 1] - axis[m, 1]) ** 2
                + (voxels[n, 2] - axis[m, 2]) ** 2
            )
            if apart < nearest:
                nearest, index = apart, m
        if np.sqrt(nearest) > farthest:
            continue
        # The foot on the straight piece through the nearest point of the axis.
        unit0, unit1, unit2 = (
            ahead[index, 0] / step[index],
            ahead[index, 1] / step[index],
            ahead[index, 2] / step[index],
        )
        foot_x, foot_y, foot_z = (
            voxels[n, 0] - axis[index, 0],
            voxels[n, 1] - axis[index, 1],
            voxels[n, 2] - axis[index, 2],
        )
        inside = min(max(foot_x * unit0 + foot_y * unit1 + foot_z * unit2, -step[index]), step[index])
        if (index == 0 and inside < 0) or (index == points - 1 and inside > 0):
            inside = 0.0
        foot_x, foot_y, foot_z = foot_x - inside * unit0, foot_y - inside * unit1, foot_z - inside * unit2
        beyond = inside / step[index]
        other = index + (1 if beyond > 0 else -1 if beyond < 0 else 0)
        mean, one, two = 0.0, 0.0, 0.0
        first_k, last_k = min(low[index], low[other]), max(high[index], high[other])
        for k in range(first_k, last_k):
            local[k] = basis[index, k] + abs(beyond) * (basis[other, k] - basis[index, k])
            mean += local[k] * radius[k]
            if len(flattening):
                one += local[k] * flattening[0, k]
                two += local[k] * flattening[1, k]
        mean = max(mean, least_mm)
        sigma = round_sigma[index]
        excess = (smear[index, 0] ** 2 + smear[index, 1] ** 2 + smear[index, 2] ** 2) / sigma**2
        nodes = 1 if excess == 0.0 else 3 if excess < _LONG else 5
        for q in range(nodes):
            node, weight = 0.0, 1.0
            if nodes == 3:
                node, weight = _NODES3[q], _WEIGHTS3[q]
            elif nodes == 5:
                node, weight = _NODES5[q], _WEIGHTS5[q]
            x, y, z = (
                foot_x + node * smear[index, 0],
                foot_y + node * smear[index, 1],
                foot_z + node * smear[index, 2],
            )
            distance = np.sqrt(x * x + y * y + z * z + 1e-12)
            a = (x * first[index, 0] + y * first[index, 1] + z * first[index, 2]) / distance
            b = (x * second[index, 0] + y * second[index, 1] + z * second[index, 2]) / distance
            cosine, sine, own = 0.0, 0.0, mean
            if len(flattening):
                norm = max(a * a + b * b, 1e-12)
                cosine, sine = (a * a - b * b) / norm, 2.0 * a * b / norm
                own = mean * max(1.0 + cosine * one + sine * two, 0.2)
            t = (distance - own) / sigma
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
            # A wider blur is a wider round part and longer shifts.
            shift = node * (x * smear[index, 0] + y * smear[index, 1] + z * smear[index, 2]) / distance
            by_sigma[n] -= weight * ((distance - shift) * by_distance + own * by_radius)
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
