import type { ReadonlySignal } from "@preact/signals"
import type { ComponentChildren } from "preact"
import { useEffect, useState } from "preact/hooks"
import { locale, t, tMaybe } from "../i18n"
import { Icon } from "../parts/Icon"
import { duration, number, rate } from "../text/format"
import { figures } from "./figures"
import { Markdown } from "./Markdown"
import type { Answer, Ending } from "./state"

interface Props {
  readonly of: ReadonlySignal<Answer>
  /** What can be done with it. */
  readonly children?: ComponentChildren
}

/** An answer as it is being written, how it ended, and what it cost. */
export function AnswerView({ of, children }: Props) {
  const answer = useFrames(of)
  const running = answer.ending === undefined
  return (
    <article class={running ? "answer running" : "answer"} aria-busy={running} aria-label={t("answer")}>
      {answer.reasoning !== "" && (
        <details class="reasoning">
          <summary>{t("reasoning")}</summary>
          <p class="plain">{answer.reasoning}</p>
        </details>
      )}
      <Markdown text={answer.text} ended={!running} />
      {answer.tools.map((tool, index) => (
        <pre key={index} class="tool" tabIndex={0}>{tool.name}({tool.arguments})</pre>
      ))}
      {running && <span class="caret" aria-hidden="true" />}
      {answer.seams.length > 0 && <p class="note">{t("seams", { n: answer.seams.length })}</p>}
      {answer.errors.filter((error) => !(answer.ending?.reason ?? "").includes(error)).map((error, index) => (
        <p key={index} class="note">{t("refused", { why: error })}</p>
      ))}
      {answer.ending !== undefined && <EndingLine ending={answer.ending} finish={answer.finish} />}
      <footer class="answer-foot">
        <FiguresLine answer={answer} />
        <span class="actions">{children}</span>
      </footer>
    </article>
  )
}

/** A whole answer needs no words; any other says that it is none, and why. */
function EndingLine({ ending, finish }: { ending: Ending; finish: string }) {
  const short = ending.kind === "completed" && finish !== "" && finish !== "stop" && finish !== "tool_calls"
  if (ending.kind === "completed" && !short) return <p class="unseen" role="status">{t("whole")}</p>
  const kind = short ? `finish.${finish}` : `broken.${ending.kind}`
  return (
    <p class="ending" role="status" data-ending={ending.kind}>
      <Icon name="warning" />
      <span>
        <strong>{tMaybe(kind, short ? finish : ending.kind)}</strong>
        {ending.reason !== "" && <span class="reason"> {ending.reason}</span>}
      </span>
    </p>
  )
}

function FiguresLine({ answer }: { answer: Answer }) {
  const { tokens, approximate, firstToken, perSecond } = figures(answer)
  const language = locale.value
  return (
    <span class="figures">
      <span data-figure="tokens">
        {t(approximate ? "figures.about" : "figures.tokens", { n: number(tokens, language) })}
      </span>
      {firstToken !== undefined && (
        <span data-figure="first">{t("figures.first", { time: duration(firstToken, language) })}</span>
      )}
      {perSecond !== undefined && (
        <span data-figure="rate">{t("figures.rate", { n: rate(perSecond, language) })}</span>
      )}
    </span>
  )
}

/** The signal's value, at most once a frame: more is never seen, and costs the same each time. */
function useFrames(of: ReadonlySignal<Answer>): Answer {
  const [shown, show] = useState(of.peek())
  useEffect(() => {
    let frame = 0
    let timer: ReturnType<typeof setTimeout> | undefined
    const now = () => {
      cancelAnimationFrame(frame)
      clearTimeout(timer)
      frame = 0
      show(of.peek())
    }
    const leave = of.subscribe(() => {
      if (frame !== 0) return
      frame = requestAnimationFrame(now)
      // A tab that is not looked at has no frames; its text has to be there all the same.
      timer = setTimeout(now, 250)
    })
    return () => {
      leave()
      cancelAnimationFrame(frame)
      clearTimeout(timer)
    }
  }, [of])
  return shown
}
