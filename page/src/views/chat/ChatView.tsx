import { useEffect, useState } from "preact/hooks"
import { t } from "../../i18n"
import { Icon } from "../../parts/Icon"
import { Problem } from "../../parts/Problem"
import { navigate } from "../../router"
import { titleOf } from "../../text/format"
import { Composer } from "./Composer"
import { ConversationList } from "./ConversationList"
import { refreshList } from "./list"
import { leaveSession, newConversation, session } from "./session"
import { Thread } from "./Thread"

/** /page/chat is a conversation that has not begun, /page/chat/<id> is one that has. */
export default function ChatView({ rest }: { rest: string }) {
  const [listShown, showList] = useState(false)
  useEffect(() => {
    showList(false)
    return rest === "" ? undefined : () => leaveSession(rest)
  }, [rest])
  return (
    <div class={listShown ? "chat with-list" : "chat"}>
      <button
        type="button"
        class="button list-switch"
        aria-expanded={listShown}
        aria-controls="conversations"
        onClick={() => showList(!listShown)}
      >
        <Icon name="menu" />
        {t("conversations")}
      </button>
      <ConversationList current={rest} />
      {rest === "" ? <Beginning /> : <Going key={rest} id={rest} />}
    </div>
  )
}

function Beginning() {
  const [problem, setProblem] = useState<unknown>(undefined)
  useEffect(() => void (document.title = t("title.chat")), [])
  const send = async (text: string, model: string) => {
    setProblem(undefined)
    try {
      const id = await newConversation()
      const begun = session(id)
      navigate(`/page/chat/${id}`)
      // What goes wrong from here on is shown by the conversation, which has the question.
      void begun.send(text, model).catch(() => undefined).then(refreshList).catch(() => undefined)
    } catch (error) {
      setProblem(error)
      throw error
    }
  }
  return (
    <section class="thread-pane" aria-label={t("view.chat")}>
      <div class="thread">
        <div class="welcome">
          <h1>{t("welcome.title")}</h1>
          <p>{t("welcome.text")}</p>
        </div>
      </div>
      {problem !== undefined && <Problem error={problem} />}
      <Composer busy={false} onSend={send} onStop={undefined} />
    </section>
  )
}

function Going({ id }: { id: string }) {
  const now = session(id)
  const { turns, title } = now.conversation.value
  const heading = title === "" ? titleOf(turns[0]?.text ?? "") : title
  useEffect(() => void (document.title = heading === "" ? t("title.chat") : `${heading} · Tailrace`), [heading])
  if (now.missing.value) {
    return (
      <section class="thread-pane">
        <h1 class="unseen">{t("view.chat")}</h1>
        <Problem error={new Error(t("conversationGone"))} />
        <p class="padded"><a class="button" href="/page/chat">{t("newConversation")}</a></p>
      </section>
    )
  }
  const problem = now.problem.value
  const running = now.running.value
  return (
    <section class="thread-pane" aria-label={t("view.chat")}>
      <h1 class="unseen">{heading === "" ? t("view.chat") : heading}</h1>
      <Thread session={now} />
      {problem !== undefined && <Problem error={problem} />}
      <Composer
        busy={now.asking.value || running !== undefined}
        onSend={(text, model) => now.send(text, model)}
        onStop={running === undefined ? undefined : () => void now.stop().catch(() => undefined)}
      />
    </section>
  )
}
