"""What was measured, drawn."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench.curves import Curve, Rounds, costs

# Ours and the other's: apart for those who see no red or green, too.
_OURS, _THEIRS = "#0b6fa4", "#b5541c"
_INK: Final = {"axes.edgecolor": "#888", "font.size": 9.5, "axes.titlesize": 10.5}


def _pyplot() -> Any:
    import matplotlib as mpl  # noqa: PLC0415 - it takes a second, and tables do without

    mpl.use("Agg")
    mpl.rcParams.update(_INK)
    from matplotlib import pyplot as plt  # noqa: PLC0415

    return plt


def draw_curve(path: Path, curve: Curve, found: Rounds) -> None:
    """Medians, with a bar from the lowest to the highest round."""
    plt = _pyplot()
    figure, axes = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
    highest = 0.0
    for name, rounds in found.items():
        points = costs(rounds)
        middles = [statistics.median(each) for each in points.values()]
        below = [m - min(each) for m, each in zip(middles, points.values(), strict=True)]
        above = [max(each) - m for m, each in zip(middles, points.values(), strict=True)]
        ours = name.startswith("Tailrace")
        look: dict[str, Any] = {"color": _OURS if ours else _THEIRS, "marker": "o" if ours else "s"}
        axes.errorbar(list(points), middles, (below, above), label=name, capsize=3, ms=5, **look)
        highest = max(highest, *(max(each) for each in points.values()))
    axes.set_xscale("log")
    places = sorted({place for rounds in found.values() for place in rounds if place})
    axes.set_xticks(places, [f"{place:,}".replace(",", "\N{THIN SPACE}") for place in places])
    axes.minorticks_off()
    axes.set_ylim(0, highest * 1.25)
    axes.set(xlabel=curve.across, ylabel=curve.up, title=curve.title)
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    _save(figure, path)


def draw_shares(
    path: Path,
    title: str,
    bars: Mapping[str, Sequence[tuple[str, float]]],
    colours: Mapping[str, str],
) -> None:
    """One bar for each name, of parts (what, µs) laid end to end."""
    plt = _pyplot()
    figure, axes = plt.subplots(figsize=(8.2, 3.6), layout="constrained")
    for bar, parts in bars.items():
        left = 0.0
        for name, size in parts:
            axes.barh(bar, size, left=left, color=colours[name], edgecolor="white", height=0.6)
            if size >= 1:
                axes.text(left + size / 2, bar, f"{size:.1f}", ha="center", va="center", size=8)
            left += size
        axes.text(left, bar, f"  {left:.1f}", va="center", weight="bold")
    there = {name for parts in bars.values() for name, _ in parts}
    handles = {n: plt.Rectangle((0, 0), 1, 1, color=c) for n, c in colours.items() if n in there}
    figure.legend(
        handles.values(), handles, loc="outside lower center", ncols=3, frameon=False, fontsize=8
    )
    axes.set(xlabel="CPU, µs per token", title=title)
    axes.margins(x=0.08)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=100, pil_kwargs={"optimize": True}, metadata={"Software": None})
    _pyplot().close(figure)
