import type { ComponentType } from "preact"
import { t } from "../i18n"
import type { IconName } from "../parts/Icon"
import { pathOf } from "../wire/api"

/** A stream as far as it decides which views can show it. */
export interface Openable {
  readonly name: string
  readonly content_type: string
}

export interface View {
  /** Its path is /page/<name>; its folder is beside this file. */
  readonly name: string
  /** What it is called, in the language that is chosen. */
  readonly title: () => string
  readonly icon: IconName
  /** Whether it stands in the page's navigation, or is only opened for a stream. */
  readonly listed: boolean
  readonly load: () => Promise<{ default: ComponentType<{ rest: string }> }>
  /** Where it shows a stream; undefined where it cannot. */
  readonly opens: (stream: Openable) => string | undefined
}

const CONVERSATIONS = "conversations/"

/** The views: one line each. The first is what the page begins with. */
export const VIEWS: readonly View[] = [
  { name: "chat", title: () => t("view.chat"), icon: "chat", listed: true, load: () => import("./chat/ChatView"),
    opens: ({ name }) => name.startsWith(CONVERSATIONS) ? `/page/chat/${pathOf(name.slice(CONVERSATIONS.length))}` : undefined },
  { name: "streams", title: () => t("view.streams"), icon: "streams", listed: true, load: () => import("./streams/StreamsView"),
    opens: () => undefined },
  { name: "read", title: () => t("view.read"), icon: "read", listed: false, load: () => import("./read/ReadView"),
    opens: ({ name, content_type }) => /^text\/|json/.test(content_type) ? `/page/read/${pathOf(name)}` : undefined },
  { name: "wire", title: () => t("view.wire"), icon: "wire", listed: false, load: () => import("./wire/WireView"),
    opens: ({ name }) => `/page/wire/${pathOf(name)}` },
]
