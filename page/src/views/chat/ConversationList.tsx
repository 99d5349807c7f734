import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks"
import { t } from "../../i18n"
import { ConfirmButton, IconButton } from "../../parts/buttons"
import { Icon } from "../../parts/Icon"
import { Problem } from "../../parts/Problem"
import { navigate } from "../../router"
import { pathOf } from "../../wire/api"
import { deleteConversation, entries, refreshList, renameConversation } from "./list"

export function ConversationList({ current }: { current: string }) {
  const [problem, setProblem] = useState<unknown>(undefined)
  useEffect(() => void refreshList().catch(setProblem), [])
  const remove = async (id: string) => {
    await deleteConversation(id)
    if (id === current) navigate("/page/chat")
  }
  return (
    <nav id="conversations" class="conversations" aria-label={t("conversations")}>
      <a class="button new" href="/page/chat"><Icon name="plus" />{t("newConversation")}</a>
      {problem !== undefined && <Problem error={problem} />}
      <ul>
        {entries.value?.map(({ id, title }) => (
          <Item
            key={id}
            id={id}
            title={title}
            current={id === current}
            onRename={(text) => void renameConversation(id, text).catch(setProblem)}
            onDelete={() => void remove(id).catch(setProblem)}
          />
        ))}
      </ul>
    </nav>
  )
}

interface ItemProps {
  readonly id: string
  readonly title: string
  readonly current: boolean
  readonly onRename: (title: string) => void
  readonly onDelete: () => void
}

function Item({ id, title, current, onRename, onDelete }: ItemProps) {
  const [renaming, setRenaming] = useState(false)
  if (renaming) {
    const leave = (text: string) => {
      setRenaming(false)
      if (text !== "" && text !== title) onRename(text)
    }
    return <li class="current"><TitleField title={title} onLeave={leave} /></li>
  }
  return (
    <li class={current ? "current" : ""}>
      <a href={`/page/chat/${pathOf(id)}`} aria-current={current ? "page" : undefined}>
        {title === "" ? t("untitled") : title}
      </a>
      {current && <IconButton icon="edit" label={t("rename")} onClick={() => setRenaming(true)} />}
      <ConfirmButton label={t("deleteConversation")} onConfirm={onDelete} />
    </li>
  )
}

/** Enter and leaving it keep what is in it; Escape does not. */
function TitleField({ title, onLeave }: { title: string; onLeave: (text: string) => void }) {
  const field = useRef<HTMLInputElement>(null)
  useLayoutEffect(() => {
    field.current?.focus()
    field.current?.select()
  }, [])
  return (
    <input
      ref={field}
      class="grow"
      defaultValue={title}
      aria-label={t("rename")}
      onBlur={(event) => onLeave(event.currentTarget.value.trim())}
      onKeyDown={(event) => {
        if (event.key === "Enter" && !event.isComposing) event.currentTarget.blur()
        if (event.key === "Escape") onLeave("")
      }}
    />
  )
}
