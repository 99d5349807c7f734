import { useEffect, useMemo } from "preact/hooks"
import { t } from "../../i18n"
import { CopyButton } from "../../parts/buttons"
import { Icon } from "../../parts/Icon"
import { Problem } from "../../parts/Problem"
import { curlCommand } from "../../text/shell"
import { streamPath } from "../../wire/api"
import { Frames } from "./Frames"
import { Tap } from "./tap"

/** /page/wire/<name>: what goes over the wire, frame by frame. */
export default function WireView({ rest: name }: { rest: string }) {
  const tap = useMemo(() => new Tap(name), [name])
  useEffect(() => {
    document.title = `${t("view.wire")} · ${name}`
    tap.resume("-1")
    return () => tap.pause()
  }, [tap, name])
  const state = tap.state.value
  const problem = tap.problem.value
  return (
    <section class="pane wire" aria-labelledby="wire-title">
      <h1 id="wire-title"><span class="muted">{t("view.wire")}</span> {name}</h1>
      <p class="lead">{t("wire.lead")}</p>
      {problem !== undefined && <Problem error={problem} />}
      <div class="wire-bar">
        <Controls tap={tap} />
        <span class={`badge ${state}`} role="status">{t(`wire.${state}`)}</span>
        <span class="muted">{t("wire.count", { n: tap.frames.value.length + tap.dropped.value })}</span>
      </div>
      <Request name={name} from={tap.from.value} paused={state === "paused"} offset={tap.offset.value} />
      {tap.dropped.value > 0 && <p class="note">{t("wire.dropped", { n: tap.dropped.value })}</p>}
      <Frames frames={tap.frames.value} onResume={(offset) => tap.resume(offset)} />
    </section>
  )
}

function Controls({ tap }: { tap: Tap }) {
  const state = tap.state.value
  const running = state === "live" || state === "reading"
  return (
    <>
      {running && (
        <button type="button" class="button" onClick={() => tap.pause()}><Icon name="pause" />{t("wire.pause")}</button>
      )}
      {state === "paused" && (
        <button type="button" class="button primary" onClick={() => tap.resume(tap.offset.value)}>
          <Icon name="play" />{t("wire.resume")}
        </button>
      )}
      <button type="button" class="button" onClick={() => tap.resume("-1")}><Icon name="retry" />{t("wire.fromStart")}</button>
    </>
  )
}

interface RequestProps {
  readonly name: string
  readonly from: string
  readonly paused: boolean
  readonly offset: string
}

/** The request that a reader at this place sends: while paused, the one that would resume it. */
function Request({ name, from, paused, offset }: RequestProps) {
  const place = paused ? offset : from
  const command = curlCommand(location.origin + streamPath(name), place, place !== "-1")
  return (
    <div class="command">
      <span class="muted">{t(paused ? "wire.wouldResume" : "wire.request")}</span>
      <code>{command}</code>
      <CopyButton text={() => command} label={t("wire.copyCommand")} />
    </div>
  )
}
