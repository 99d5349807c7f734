import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import { brotliCompress, gzip } from "node:zlib"
import type { Plugin } from "vite"

const COMPRESSED = /\.(?:js|css|html|svg)$/
// Below a packet nothing is gained.
const LEAST = 1000
const CODINGS = [["br", promisify(brotliCompress)], ["gz", promisify(gzip)]] as const

/** Writes each file a second and third time, compressed as well as can be: the server only picks. */
export function compress(): Plugin {
  return {
    name: "compress",
    apply: "build",
    // Of what is on the disk: Vite writes into chunks until the very end.
    async writeBundle({ dir = "" }, bundle) {
      for (const fileName of Object.keys(bundle)) {
        const path = join(dir, fileName)
        const source = await readFile(path)
        if (!COMPRESSED.test(fileName) || source.length < LEAST) continue
        for (const [ending, coded] of CODINGS) await writeFile(`${path}.${ending}`, await coded(source))
      }
    },
  }
}
