import { useEffect, useRef, useState } from "preact/hooks"
import { AnswerView } from "../../answer/AnswerView"
import { t } from "../../i18n"
import { CopyButton, IconButton } from "../../parts/buttons"
import { pathOf } from "../../wire/api"
import type { Turn } from "./conversation"
import { Question } from "./Question"
import type { Session } from "./session"
import { useStickyEnd } from "../../parts/useStickyEnd"

export function Thread({ session }: { session: Session }) {
  const scroller = useRef<HTMLDivElement>(null)
  const content = useRef<HTMLDivElement>(null)
  const toEnd = useStickyEnd(scroller, content)
  const { turns } = session.conversation.value
  // A question of one's own is looked at, wherever one was reading.
  useEffect(toEnd, [turns.length])
  return (
    <div class="thread" ref={scroller} tabIndex={0} role="region" aria-label={t("conversation")}>
      <div class="thread-content" ref={content}>
        {turns.map((turn, index) => (
          <TurnView key={index} session={session} turn={turn} index={index} last={index === turns.length - 1} />
        ))}
      </div>
    </div>
  )
}

interface TurnProps {
  readonly session: Session
  readonly turn: Turn
  readonly index: number
  readonly last: boolean
}

function TurnView({ session, turn, index, last }: TurnProps) {
  const busy = session.asking.value || session.running.value !== undefined
  return (
    <div class="turn">
      <Question
        text={turn.text}
        editable={!busy}
        onEdit={(text) => session.send(text, turn.model, index)}
      />
      {turn.answers.length > 0
        ? <Answers session={session} turn={turn} retryable={last && !busy} />
        : last && <Unanswered session={session} />}
    </div>
  )
}

/** The latest answer, unless a person leafs back to an earlier one. */
function Answers({ session, turn, retryable }: { session: Session; turn: Turn; retryable: boolean }) {
  const count = turn.answers.length
  const [chosen, choose] = useState<number | undefined>(undefined)
  useEffect(() => choose(undefined), [count])
  const shown = chosen ?? count - 1
  const name = turn.answers[shown] ?? ""
  const of = session.answer(name)?.answer
  if (of === undefined) return null
  return (
    <AnswerView key={name} of={of}>
      {count > 1 && (
        <span class="leaf">
          <IconButton icon="left" label={t("earlier")} disabled={shown === 0} onClick={() => choose(shown - 1)} />
          <span>{t("nOfM", { n: shown + 1, m: count })}</span>
          <IconButton icon="right" label={t("later")} disabled={shown === count - 1} onClick={() => choose(shown + 1)} />
        </span>
      )}
      <CopyButton text={() => of.peek().text} label={t("copyAnswer")} />
      {retryable && (
        <IconButton icon="retry" label={t("retry")} onClick={() => void session.retry().catch(() => undefined)} />
      )}
      <a class="button quiet" href={`/page/wire/${pathOf(name)}`}>{t("view.wire")}</a>
    </AnswerView>
  )
}

/** Asked a moment ago; or by a tab that was closed before it knew the answer's name. */
function Unanswered({ session }: { session: Session }) {
  if (session.asking.value) return <p class="waiting" role="status">{t("asking")}<span class="caret" /></p>
  return (
    <p class="waiting late">
      {t("unanswered")}{" "}
      <button type="button" class="button" onClick={() => void session.retry().catch(() => undefined)}>
        {t("askAgain")}
      </button>
    </p>
  )
}
