import { useEffect, useRef } from "preact/hooks"
import { locale, t } from "../../i18n"
import { theme } from "../../settings"
import { bytes, duration, number, rate } from "../../text/format"
import type { Chart, Kind } from "./chart"
import { CLASSES, firstTokens, medianFirstToken } from "./history"
import { overview, series } from "./overview"

/** What the server does, as five small drawings, each with its present value in words. */
export function Charts() {
  const language = locale.value
  const { time, tokens, viewers, cpu, memory } = series.value
  const streams = overview.value?.streams ?? []
  const median = medianFirstToken(streams)
  const last = (values: readonly number[]) => values.at(-1) ?? 0
  const classes = [...CLASSES.keys(), CLASSES.length]
  return (
    <div class="charts">
      <Figure title={t("chart.tokens")} value={rate(last(tokens), language)} kind="line" x={time} y={tokens} />
      <Figure title={t("chart.first")} value={median === undefined ? "–" : duration(median, language)}
        kind="bars" x={classes} y={firstTokens(streams)} />
      <Figure title={t("chart.viewers")} value={number(last(viewers), language)} kind="line" x={time} y={viewers} />
      <Figure title={t("chart.cpu")} value={`${number(last(cpu), language, 1)} %`} kind="line" x={time} y={cpu} />
      <Figure title={t("chart.memory")} value={bytes(last(memory), language)} kind="line" x={time} y={memory} />
    </div>
  )
}

interface FigureProps {
  readonly title: string
  readonly value: string
  readonly kind: Kind
  readonly x: readonly number[]
  readonly y: readonly number[]
}

function Figure({ title, value, kind, x, y }: FigureProps) {
  const box = useRef<HTMLDivElement>(null)
  const chart = useRef<Chart | undefined>(undefined)
  // More may have come by the time that there is something to draw with.
  const latest = useRef({ x, y })
  latest.current = { x, y }
  useEffect(() => {
    let shown = true
    void import("./chart").then(({ drawChart }) => {
      if (!shown || box.current === null) return
      chart.current = drawChart(box.current, kind, latest.current.x, latest.current.y)
    }, () => undefined) // The value in words is there all the same.
    return () => {
      shown = false
      chart.current?.destroy()
      chart.current = undefined
    }
    // Drawn anew for other colours; other values are given to the chart that is there.
  }, [kind, theme.value])
  useEffect(() => chart.current?.update(x, y), [x, y])
  return (
    <figure>
      <figcaption><span class="muted">{title}</span> <strong>{value}</strong></figcaption>
      <div class="chart" ref={box} role="img" aria-label={`${title}: ${value}`} />
    </figure>
  )
}
