import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './bundle'
import { buildClient, CLIENT_FILE } from './client'

/** `npm run client`: the mini-program's copy of web/client, made anew. */
void buildClient().then((text) => writeFileSync(join(ROOT, CLIENT_FILE), text))
