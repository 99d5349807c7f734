import { signal } from "@preact/signals"
import { useEffect, useMemo } from "preact/hooks"
import { follower } from "../../follow"
import { t } from "../../i18n"
import { EndingBadge } from "../../parts/EndingBadge"
import { Problem } from "../../parts/Problem"

/** More than anybody reads on a page; the beginning is let go. */
const MOST = 500_000

/** Text as it is, and one line for each value of a stream of JSON. */
export function PlainStream({ name }: { name: string }) {
  const text = useMemo(() => signal(""), [name])
  const ending = useMemo(() => signal<string | null>(null), [name])
  useEffect(() => {
    let json = false
    return follower.follow(name, "-1", {
      head: (head) => (json = head.content_type.includes("json")),
      event: ({ type, data }) => {
        if (type === "") text.value = (text.value + data + (json ? "\n" : "")).slice(-MOST)
      },
      end: (kind) => (ending.value = kind),
      gone: () => (ending.value = "gone"),
    })
  }, [name, text, ending])
  if (ending.value === "gone") return <Problem error={new Error(t("streamGone"))} />
  return (
    <>
      <p><EndingBadge kind={ending.value} /></p>
      <pre class="plain text" tabIndex={0}>{text.value}</pre>
    </>
  )
}
