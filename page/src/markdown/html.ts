import { Marked, type Token, type Tokens } from "marked"

/**
 * Markdown to HTML that has only what Markdown can say: HTML in it is shown as it was written, and
 * an image is a link, since fetching one tells its server who reads what. This is not what makes it
 * safe: fragment.ts is.
 */
const marked = new Marked({
  gfm: true,
  renderer: {
    html: ({ text }: Tokens.HTML | Tokens.Tag) =>
      /^<br\s*\/?>$/i.test(text.trim()) ? "<br>" : escapeHtml(text),
    image({ href, text }: Tokens.Image) {
      return `<a href="${escapeHtml(href)}">🖼 ${escapeHtml(text === "" ? href : text)}</a>`
    },
    checkbox: ({ checked }: Tokens.Checkbox) => (checked ? "☑ " : "☐ "),
  },
})

/** The HTML of one block. A fence's is the page's own affair. */
export function blockHtml(token: Token): string {
  return marked.parser([token])
}

export function escapeHtml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;")
}
