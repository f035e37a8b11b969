import { readFileSync } from 'node:fs'

export const privateKey = readFileSync(process.env['RSA_PRIVATE_KEY_FILE'] ?? '', 'utf8')
export const publicKey = readFileSync(process.env['RSA_PUBLIC_KEY_FILE'] ?? '', 'utf8')
