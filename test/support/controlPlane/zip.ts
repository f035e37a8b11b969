import { inflateRawSync } from 'node:zlib'
import { ApiFault } from './fault'

export type ZipEntry = { name: string; bytes: Buffer; mode: number; dosTime: number }

/** The files of a zip, from its central directory. Only what our zips need: stored or deflated, no encryption, no zip64. */
export function readZip(zip: Buffer): ZipEntry[] {
  const end = zip.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'))
  if (end < 0) throw new ApiFault('InvalidParameterValue.ZipFile', 'This is not a zip file.')
  const entries: ZipEntry[] = []
  let at = zip.readUInt32LE(end + 16)
  for (let left = zip.readUInt16LE(end + 10); left > 0; left--) {
    if (zip.readUInt32LE(at) !== 0x02014b50) {
      throw new ApiFault('InvalidParameterValue.ZipFile', 'The directory of the zip file is broken.')
    }
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((offset) =>
      zip.readUInt16LE(at + offset),
    )
    const name = zip.toString('utf8', at + 46, at + 46 + nameLength!)
    const local = zip.readUInt32LE(at + 42)
    const start = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28)
    const packed = zip.subarray(start, start + zip.readUInt32LE(at + 20))
    entries.push({
      name,
      bytes: zip.readUInt16LE(at + 10) === 0 ? packed : inflateRawSync(packed),
      mode: zip.readUInt32LE(at + 38) >>> 16,
      dosTime: zip.readUInt32LE(at + 12),
    })
    at += 46 + nameLength! + extraLength! + commentLength!
  }
  return entries
}
