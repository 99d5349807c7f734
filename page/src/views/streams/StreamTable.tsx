import { VIEWS } from ".."
import type { OverviewStream } from "../../follow/places"
import { locale, t } from "../../i18n"
import { ConfirmButton, IconButton } from "../../parts/buttons"
import { EndingBadge } from "../../parts/EndingBadge"
import { bytes, duration, number, rate } from "../../text/format"
import { deleteStream, stopStream } from "../../wire/api"

interface Props {
  readonly streams: readonly OverviewStream[]
  /** The server's clock, in milliseconds: ages are told by it. */
  readonly now: number
  readonly onProblem: (error: unknown) => void
}

export function StreamTable({ streams, now, onProblem }: Props) {
  if (streams.length === 0) return <p class="empty">{t("streams.none")}</p>
  return (
    <div class="table-scroll" tabIndex={0} role="region" aria-label={t("streams.table")}>
      <table>
        <thead>
          <tr>
            <th scope="col">{t("column.name")}</th>
            <th scope="col">{t("column.source")}</th>
            <th scope="col" class="figure">{t("column.viewers")}</th>
            <th scope="col" class="figure">{t("column.rate")}</th>
            <th scope="col" class="figure">{t("column.age")}</th>
            <th scope="col" class="figure">{t("column.size")}</th>
            <th scope="col">{t("column.ending")}</th>
            <th scope="col">{t("column.open")}</th>
            <th scope="col"><span class="unseen">{t("column.actions")}</span></th>
          </tr>
        </thead>
        <tbody>
          {streams.map((stream) => <Row key={stream.generation} stream={stream} now={now} onProblem={onProblem} />)}
        </tbody>
      </table>
    </div>
  )
}

function Row({ stream, now, onProblem }: { stream: OverviewStream; now: number; onProblem: Props["onProblem"] }) {
  const language = locale.value
  const { name, ending } = stream
  return (
    <tr>
      <th scope="row" class="name" title={name}>{name}</th>
      <td data-label={t("column.source")}>{stream.source ?? t("source.none")}</td>
      <td data-label={t("column.viewers")} class="figure">{number(stream.viewers, language)}</td>
      <td data-label={t("column.rate")} class="figure">{ending === null ? rate(stream.rate, language) : ""}</td>
      <td data-label={t("column.age")} class="figure">{duration((now - stream.created) / 1000, language)}</td>
      <td data-label={t("column.size")} class="figure">{bytes(stream.bytes, language)}</td>
      <td data-label={t("column.ending")} title={ending?.reason}><EndingBadge kind={ending?.kind ?? null} /></td>
      <td data-label={t("column.open")}><div class="links">
        {VIEWS.map((view) => {
          const href = view.opens(stream)
          return href !== undefined && (
            <a key={view.name} href={href} aria-label={`${view.title()}: ${name}`}>{view.title()}</a>
          )
        })}
      </div></td>
      <td><div class="links">
        {ending === null && (
          <IconButton icon="stop" label={t("stopStream", { name })} onClick={() => void stopStream(name).catch(onProblem)} />
        )}
        <ConfirmButton label={t("deleteStream", { name })} onConfirm={() => void deleteStream(name).catch(onProblem)} />
      </div></td>
    </tr>
  )
}
