import { createHash } from 'node:crypto'

/**
 * What we write into descriptions, to recognise it when we come back: whose a function is, and which code a version
 * has and which deployment published it. Descriptions take letters, digits, blanks, commas and full stops only.
 */
export const ownerOf = (service: string, stage: string): string =>
  createHash('sha256').update(`${service}/${stage}`).digest('hex').slice(0, 16)

export const functionMark = (owner: string): string => `owner ${owner}`
export const versionMark = (deployment: string, code: string): string =>
  `deployment ${deployment}, code ${code}`

export type Mark = { owner?: string; deployment?: string; code?: string }

export function readMark(description: string | null | undefined): Mark {
  const found: Mark = {}
  for (const [, word, value] of (description ?? '').matchAll(/\b(owner|deployment|code) ([0-9A-Za-z]+)/g))
    found[word as keyof Mark] = value!
  return found
}

/** `20261123T143000Z`: sorts as time does. */
export const deploymentId = (nowMs: number): string =>
  new Date(nowMs).toISOString().replace(/[-:]|\.\d{3}/g, '')
