import { useEffect, useState } from "preact/hooks"
import { locale, t } from "../../i18n"
import { Problem } from "../../parts/Problem"
import { bytes, duration, number } from "../../text/format"
import { Charts } from "./Charts"
import { followOverview, overview } from "./overview"
import { StreamTable } from "./StreamTable"

/** /page/streams: every stream, and the server that has them. */
export default function StreamsView() {
  const [filter, setFilter] = useState("")
  const [problem, setProblem] = useState<unknown>(undefined)
  useEffect(() => {
    document.title = `${t("view.streams")} · Tailrace`
    return followOverview()
  }, [])
  const now = overview.value
  const language = locale.value
  return (
    <section class="pane streams" aria-labelledby="streams-title">
      <h1 id="streams-title">{t("view.streams")}</h1>
      <Charts />
      {problem !== undefined && <Problem error={problem} />}
      <div class="streams-bar">
        <label>
          <span class="unseen">{t("filter")}</span>
          <input
            type="search"
            value={filter}
            placeholder={t("filter")}
            onInput={(event) => setFilter(event.currentTarget.value)}
          />
        </label>
        {now !== undefined && (
          <p class="muted">
            {t("streams.total", {
              n: number(now.total.streams, language),
              size: bytes(now.total.bytes, language),
              uptime: duration(now.server.uptime, language),
            })}
          </p>
        )}
      </div>
      {now === undefined
        ? <p role="status">{t("loading")}</p>
        : <StreamTable streams={now.streams.filter(({ name }) => name.includes(filter))} now={now.time} onProblem={setProblem} />}
    </section>
  )
}
