import { useEffect, useMemo } from "preact/hooks"
import { AnswerView } from "../../answer/AnswerView"
import { RunningAnswer } from "../../answer/running"
import { t } from "../../i18n"
import { CopyButton } from "../../parts/buttons"
import { pathOf } from "../../wire/api"
import { PlainStream } from "./PlainStream"

/** /page/read/<name>: one stream to be read, and nothing else: what a link to an answer shows. */
export default function ReadView({ rest: name }: { rest: string }) {
  useEffect(() => void (document.title = `${t("view.read")} · ${name}`), [name])
  return (
    <section class="pane read" aria-labelledby="read-title">
      <h1 id="read-title"><span class="muted">{t("view.read")}</span> {name}</h1>
      {name.startsWith("chat/") ? <AnswerOf key={name} name={name} /> : <PlainStream key={name} name={name} />}
    </section>
  )
}

function AnswerOf({ name }: { name: string }) {
  const running = useMemo(() => new RunningAnswer(name), [name])
  useEffect(() => () => running.dispose(), [running])
  return (
    <AnswerView of={running.answer}>
      <CopyButton text={() => running.answer.peek().text} label={t("copyAnswer")} />
      <a class="button quiet" href={`/page/wire/${pathOf(name)}`}>{t("view.wire")}</a>
    </AnswerView>
  )
}
