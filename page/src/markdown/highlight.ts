import hljs from "highlight.js/lib/core"
import bash from "highlight.js/lib/languages/bash"
import c from "highlight.js/lib/languages/c"
import cpp from "highlight.js/lib/languages/cpp"
import css from "highlight.js/lib/languages/css"
import diff from "highlight.js/lib/languages/diff"
import go from "highlight.js/lib/languages/go"
import java from "highlight.js/lib/languages/java"
import javascript from "highlight.js/lib/languages/javascript"
import json from "highlight.js/lib/languages/json"
import python from "highlight.js/lib/languages/python"
import rust from "highlight.js/lib/languages/rust"
import sql from "highlight.js/lib/languages/sql"
import typescript from "highlight.js/lib/languages/typescript"
import xml from "highlight.js/lib/languages/xml"
import yaml from "highlight.js/lib/languages/yaml"
import { safeFragment } from "./fragment"

const LANGUAGES = {
  bash, c, cpp, css, diff, go, java, javascript, json, python, rust, sql, typescript, xml, yaml,
}
// Beyond this a block takes longer than a frame, and nobody reads it for its colours.
const MOST = 50_000

for (const [name, language] of Object.entries(LANGUAGES)) hljs.registerLanguage(name, language)

/** The coloured code; undefined where its language is not one of ours. */
export function highlighted(code: string, language: string): DocumentFragment | undefined {
  if (code.length > MOST || hljs.getLanguage(language) === undefined) return undefined
  return safeFragment(hljs.highlight(code, { language, ignoreIllegals: true }).value)
}
