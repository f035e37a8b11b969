import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../../deploy/bundle'
import { readPages } from './pages'

/** `npm run docs`: writes into every page the tables that come from the code, and says which pages have changed. */
for (const { file, text, wanted } of readPages(ROOT)) {
  if (text === wanted) continue
  writeFileSync(join(ROOT, file), wanted)
  console.log(`${file} is written`)
}
