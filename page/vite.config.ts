import { defineConfig } from "vitest/config"
import { compress } from "./compress.ts"

// The server has the page below /page/, and everything with a hash in its name below /page/assets/.
export default defineConfig({
  base: "/page/",
  plugins: [compress()],
  build: {
    outDir: "../src/tailrace/page/dist",
    emptyOutDir: true,
    target: "es2022",
    // The policy allows no script that is not a file of ours, and no data: but images.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  test: { include: ["tests/**/*.test.ts"] },
})
