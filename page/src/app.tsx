import type { ComponentType } from "preact"
import { useEffect, useState } from "preact/hooks"
import { locale, t } from "./i18n"
import { Icon } from "./parts/Icon"
import { LoginDialog } from "./parts/LoginDialog"
import { Problem } from "./parts/Problem"
import { StatusLine } from "./parts/StatusLine"
import { navigate, parsePath, path } from "./router"
import { theme } from "./settings"
import { type View, VIEWS } from "./views"
import { loggedIn, logOut } from "./wire/login"

export function App() {
  const { view: name, rest } = parsePath(path.value)
  const view = VIEWS.find((each) => each.name === name)
  useEffect(() => {
    if (view === undefined) navigate(`/page/${VIEWS[0]?.name ?? ""}`, "replace")
  }, [view])
  return (
    <>
      <a class="skip" href="#view">{t("skip")}</a>
      <header class="top">
        <a class="mark" href="/page/chat"><img src="/page/mark.svg" alt="" width="28" height="28" />Tailrace</a>
        <nav aria-label={t("views")}>
          {VIEWS.filter((each) => each.listed).map((each) => (
            <a key={each.name} class="tab" href={`/page/${each.name}`} aria-current={each === view ? "page" : undefined}>
              <Icon name={each.icon} />{each.title()}
            </a>
          ))}
        </nav>
        <StatusLine />
        <Choices />
      </header>
      <main id="view" tabIndex={-1}>{view !== undefined && <Loaded key={view.name} view={view} rest={rest} />}</main>
      <LoginDialog />
    </>
  )
}

function Choices() {
  return (
    <div class="choices">
      {loggedIn.value && (
        <button type="button" class="button" onClick={() => void leave()}>{t("logOut")}</button>
      )}
      <button type="button" class="button" lang={locale.value === "en" ? "zh-Hans" : "en"}
        onClick={() => (locale.value = locale.value === "en" ? "zh" : "en")}>
        {locale.value === "en" ? "中文" : "English"}
      </button>
      <label>
        <span class="unseen">{t("theme")}</span>
        <select value={theme.value} onChange={(event) => (theme.value = event.currentTarget.value as typeof theme.value)}>
          <option value="auto">{t("theme.auto")}</option>
          <option value="light">{t("theme.light")}</option>
          <option value="dark">{t("theme.dark")}</option>
        </select>
      </label>
    </div>
  )
}

/** Nothing of what was shown stays on the screen of somebody who left. */
async function leave(): Promise<void> {
  try {
    await logOut()
  } finally {
    location.reload()
  }
}

const VISITED = new Set<string>()

/** A view comes when it is looked at: nobody waits for charts who wants to chat. */
function Loaded({ view, rest }: { view: View; rest: string }) {
  const [loaded, setLoaded] = useState<{ View: ComponentType<{ rest: string }> } | undefined>(undefined)
  const [problem, setProblem] = useState<unknown>(undefined)
  useEffect(() => {
    view.load().then((module) => setLoaded({ View: module.default }), setProblem)
    // Whoever uses a keyboard or a screen reader goes on from the new view, not from the link.
    if (VISITED.size > 0) document.getElementById("view")?.focus()
    VISITED.add(view.name)
  }, [view])
  if (problem !== undefined) return <Problem error={problem} />
  if (loaded === undefined) return <p class="padded" role="status">{t("loading")}</p>
  return <loaded.View rest={rest} />
}
