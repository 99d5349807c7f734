import uPlot from "uplot"
import "uplot/dist/uPlot.min.css"
import { CLASSES, KEPT_SECONDS } from "./history"

export type Kind = "line" | "bars"

export interface Chart {
  update(x: readonly number[], y: readonly number[]): void
  destroy(): void
}

const HEIGHT = 92
const FIRST_SECONDS = 60

/** A small chart without a legend; as wide as what it is in. */
export function drawChart(box: HTMLElement, kind: Kind, x: readonly number[], y: readonly number[]): Chart {
  const style = getComputedStyle(box)
  const colour = (name: string) => style.getPropertyValue(name).trim()
  const plot = new uPlot(options(kind, box.clientWidth, colour), [[...x], [...y]], box)
  const observer = new ResizeObserver(() => plot.setSize({ width: box.clientWidth, height: HEIGHT }))
  observer.observe(box)
  return {
    update: (nextX, nextY) => plot.setData([[...nextX], [...nextY]]),
    destroy: () => {
      observer.disconnect()
      plot.destroy()
    },
  }
}

function options(kind: Kind, width: number, colour: (name: string) => string): uPlot.Options {
  const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } }
  const bars = kind === "bars"
  const paths = uPlot.paths.bars?.({ size: [0.8, 60] })
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: bars ? { time: false, range: [-0.6, CLASSES.length + 0.6] } : { time: true, range: stretch },
      y: { range: (_, __, most) => [0, Math.max(most * 1.15, 1)] },
    },
    axes: [
      { ...axis, size: 18, font: "10px sans-serif", gap: 2, grid: { show: false }, ...(bars ? classAxis() : agoAxis()) },
      { ...axis, size: 40, space: 24, font: "10px sans-serif", gap: 4, values: (_, ticks) => ticks.map(short) },
    ],
    series: [
      {},
      {
        stroke: colour("--accent"),
        fill: colour("--accent-soft"),
        width: 1.5,
        points: { show: !bars, size: 3 },
        ...(bars && paths !== undefined ? { paths } : {}),
      },
    ],
  }
}

/** One of two stretches of time that end with the newest value: what is new comes in at the right. */
function stretch(_: uPlot, oldest: number | null, newest: number | null): uPlot.Range.MinMax {
  const end = newest ?? Date.now() / 1000
  const shown = end - (oldest ?? end) > FIRST_SECONDS ? KEPT_SECONDS : FIRST_SECONDS
  return [end - shown, end]
}

/** How long ago, at two places that are not at the edges. */
function agoAxis(): Partial<uPlot.Axis> {
  return {
    splits: (_, __, from, to) => [from + (to - from) / 3, from + ((to - from) * 2) / 3],
    values: (plot, places) => places.map((place) => `−${Math.round((plot.scales.x?.max ?? place) - place)}s`),
  }
}

/** The classes' bounds: 0.1 is "up to a tenth of a second". */
function classAxis(): Partial<uPlot.Axis> {
  return {
    splits: () => [...CLASSES.keys(), CLASSES.length],
    values: (_, indices) => indices.map((index) => {
      const bound = CLASSES[index]
      return bound === undefined ? ">" : String(bound).replace(/^0/, "")
    }),
  }
}

function short(value: number): string {
  if (value >= 2 ** 20) return `${Math.round(value / 2 ** 20)}M`
  return value >= 1000 ? `${value / 1000}k` : String(value)
}
