import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { packageService } from '../../deploy/package'
import type { Service } from '../../deploy/service'
import { messagesOf, ok, wrong, type Finding } from './finding'

const kilobytes = (bytes: number) => `${Math.ceil(bytes / 1024)} KB`

/** Packages as `sls package` does, elsewhere: what is refused there is told here. */
export async function lookAtBundles(service: Service): Promise<Finding> {
  const of = 'bundles'
  const dir = mkdtempSync(join(tmpdir(), 'doctor-'))
  try {
    const artifacts = await packageService(service, dir)
    const [largest] = artifacts.sort((a, b) => b.zip.length - a.zip.length)
    if (!largest) return wrong(of, 'there is no function', 'Add one to serverless.yml.')
    return ok(
      of,
      `${artifacts.length} zips, the largest ${largest.key} with ${kilobytes(largest.zip.length)}`,
    )
  } catch (error) {
    return wrong(
      of,
      messagesOf(error),
      'Make it smaller, or mend what does not build; sls package says the same.',
    )
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}
