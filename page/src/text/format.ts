/** Numbers and times as people read them; pure, the locale being an argument. */

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"]

export function bytes(count: number, locale: string): string {
  let value = count
  let unit = 0
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${number(value, locale, unit > 0 && value < 10 ? 1 : 0)} ${UNITS[unit] ?? ""}`
}

export function number(value: number, locale: string, digits = 0): string {
  return new Intl.NumberFormat(locale, { maximumFractionDigits: digits }).format(value)
}

/** A duration in seconds: 230 ms, 4.2 s, 3 min, 2 h, 5 d. */
export function duration(seconds: number, locale: string): string {
  if (seconds < 0.9995) return unit(Math.round(Math.max(0, seconds) * 1000), "millisecond", locale)
  if (seconds < 60) return unit(Number(seconds.toFixed(seconds < 10 ? 1 : 0)), "second", locale)
  if (seconds < 3600) return unit(Math.floor(seconds / 60), "minute", locale)
  if (seconds < 86_400) return unit(Math.floor(seconds / 3600), "hour", locale)
  return unit(Math.floor(seconds / 86_400), "day", locale)
}

function unit(value: number, name: string, locale: string): string {
  return new Intl.NumberFormat(locale, { style: "unit", unit: name, unitDisplay: "short" }).format(value)
}

/** Events or tokens in a second. */
export function rate(perSecond: number, locale: string): string {
  return number(perSecond, locale, perSecond < 10 ? 1 : 0)
}

/** The time of day, to the millisecond: what the wire is read by. */
export function clock(milliseconds: number): string {
  const time = new Date(milliseconds)
  const two = (value: number) => String(value).padStart(2, "0")
  const rest = String(time.getMilliseconds()).padStart(3, "0")
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${rest}`
}

/** A line that names a conversation: the beginning of what was asked. */
export function titleOf(text: string, most = 60): string {
  const line = text.trim().replace(/\s+/gu, " ")
  if (line.length <= most) return line
  // Not in the middle of what is one character to a reader.
  const segments = new Intl.Segmenter().segment(line)
  const end = segments.containing(most - 1)?.index ?? most - 1
  return `${line.slice(0, end).trimEnd()}…`
}
