import { effect } from "@preact/signals"
import { setting } from "../settings"
import { en } from "./en"
import { zh } from "./zh"

export type Key = keyof typeof en
export type Locale = "en" | "zh"

const DICTIONARIES: Record<Locale, Record<Key, string>> = { en, zh }
const TAGS: Record<Locale, string> = { en: "en", zh: "zh-Hans" }

export const locale = setting<Locale>(
  "locale",
  navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en",
  ["en", "zh"],
)

effect(() => void (document.documentElement.lang = TAGS[locale.value]))

/** The words for `key`, with what belongs into their {places}. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  return DICTIONARIES[locale.value][key].replace(/\{(\w+)\}/g, (whole, name: string) =>
    String(values[name] ?? whole),
  )
}

/** The words for a key that is made of two parts, or `fallback` where there are none. */
export function tMaybe(key: string, fallback: string): string {
  const words = DICTIONARIES[locale.value] as Record<string, string | undefined>
  return words[key] ?? fallback
}
