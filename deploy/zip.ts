import { ZipFile } from 'yazl'
import { DeployFault } from './fault'

export type ZipEntry = { name: string; bytes: Buffer }

/** Local time on purpose: a zip has no time zone, so this reads the same wherever it is written. */
const MTIME = new Date(2000, 0, 1)

/**
 * The same entries give the same bytes on any machine, in any time zone. Stored, not compressed: what deflate makes of
 * a file changes with the version of zlib, and with it the hash that says whether anything changed.
 */
export async function writeZip(entries: readonly ZipEntry[]): Promise<Buffer> {
  const zip = new ZipFile()
  for (const { name, bytes } of [...entries].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    zip.addBuffer(bytes, name, { mtime: MTIME, forceDosTimestamp: true, mode: 0o100644, compress: false })
  }
  zip.end()
  const chunks: Buffer[] = []
  for await (const chunk of zip.outputStream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** The central directory, as far as a check of names and sizes needs it. */
export function listZip(zip: Buffer): { name: string; size: number }[] {
  const end = zip.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'))
  if (end < 0) throw new DeployFault('What was packaged is no zip: build it with sls package.', 'NOT_A_ZIP')
  const entries: { name: string; size: number }[] = []
  let at = zip.readUInt32LE(end + 16)
  for (let left = zip.readUInt16LE(end + 10); left > 0; left--) {
    const nameLength = zip.readUInt16LE(at + 28)
    entries.push({
      name: zip.subarray(at + 46, at + 46 + nameLength).toString('utf8'),
      size: zip.readUInt32LE(at + 24),
    })
    at += 46 + nameLength + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32)
  }
  return entries
}
