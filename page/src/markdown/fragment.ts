import DOMPurify from "dompurify"

/** What Markdown and highlighting are made of. No style, no id, no name, nothing that fetches. */
const ALLOWED_TAGS = [
  "a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li",
  "ol", "p", "pre", "span", "strong", "sub", "sup", "table", "tbody", "td", "th", "thead", "tr", "ul",
]
const ALLOWED_ATTR = ["href", "title", "start", "align", "class", "rel", "target"]
const SAFE_LINK = /^(?:https?:|mailto:)/i

const purify = DOMPurify(window)

purify.addHook("afterSanitizeAttributes", (node) => {
  if (node.tagName !== "A") return
  // A relative link would be one into our own server, by somebody whom we do not know.
  if (!SAFE_LINK.test(node.getAttribute("href") ?? "")) node.removeAttribute("href")
  node.setAttribute("target", "_blank")
  node.setAttribute("rel", "noopener noreferrer nofollow")
})

/**
 * HTML to nodes. This is the only place of the page where text becomes nodes other than text, and
 * the classes that it leaves are those of highlighting.
 */
export function safeFragment(html: string): DocumentFragment {
  const fragment = purify.sanitize(html, {
    ALLOWED_TAGS,
    ALLOWED_ATTR,
    ALLOWED_URI_REGEXP: SAFE_LINK,
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
    RETURN_DOM_FRAGMENT: true,
  })
  for (const node of fragment.querySelectorAll("[class]")) {
    if (!/^(?:hljs-[\w-]+)(?: [\w-]+)*$/.test(node.className)) node.removeAttribute("class")
  }
  return fragment
}
