import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { runBatch } from './batch'
import { plantIn, planting, ROOT, type Edit } from '../support/planting'
import { loadPlanted } from '../support/plantedModule'
import { bundleWorker } from './bundle'
import type { Plant } from './plants'

/** Plants one fault in memory, makes sure that it is still a program, and lets the simulator look for it. */
export const RUNS_MAX = 2000

export type PlantResult = {
  plant: Plant
  /** After so many runs something was violated; nothing if it never was. */
  runs: number
  seed: number | undefined
  violations: string[]
}

const editsOf = (plant: Plant): Edit[] => [plant, ...(plant.also ?? [])]

export async function lookForPlant(plant: Plant, runs = RUNS_MAX, seed = 1): Promise<PlantResult> {
  if (plant.staged) return stage(plant)
  const bundle = await bundleWorker('planted', planting(editsOf(plant)))
  const { bad, coverage } = await runBatch(bundle, { runs, seed, workers: 2, stopAtFirst: true })
  const [first] = bad
  return { plant, runs: coverage.runs, seed: first?.seed, violations: first?.violations ?? [] }
}

async function stage(plant: Plant): Promise<PlantResult> {
  const scenes = join(ROOT, 'test/unit/payments/refundRaces.ts')
  const { violations: play } = await loadPlanted<{ violations: () => Promise<string[]> }>(
    scenes,
    editsOf(plant),
  )
  const violations = await play()
  return { plant, runs: 1, seed: violations.length > 0 ? 0 : undefined, violations }
}

export const isLost = (violation: string): boolean => violation.includes(': lost: ')
export const isDoubled = (violation: string): boolean => violation.includes(': doubled: ')

/** In how many of so many runs a variant does that. */
export async function rateOf(
  plant: Plant,
  runs: number,
  what: (violation: string) => boolean,
): Promise<number> {
  const bundle = await bundleWorker('variant', planting(editsOf(plant)))
  const { bad } = await runBatch(bundle, { runs, seed: 1, workers: 2 })
  return bad.filter(({ violations }) => violations.some(what)).length
}

/**
 * Type-checks each planted file as if it stood in the project. One language service for all of them: the rest of the
 * program is read once.
 */
export function typeFaults(plants: readonly Plant[]): string[] {
  const configPath = join(ROOT, 'tsconfig.json')
  const { config } = ts.readConfigFile(configPath, (path) => ts.sys.readFile(path))
  const { options, fileNames } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT)
  // What is planted may leave a name unused; that is no fault of its own.
  const relaxed = { ...options, noUnusedLocals: false, noUnusedParameters: false }
  const overlay = new Map<string, { text: string; version: number }>()
  const versionOf = (path: string) => String(overlay.get(path)?.version ?? 0)
  const texts = new Map<string, string>()
  const read = (path: string) => {
    let text = texts.get(path)
    if (text === undefined) texts.set(path, (text = ts.sys.readFile(path) ?? ''))
    return text
  }
  const service = ts.createLanguageService({
    getCompilationSettings: () => relaxed,
    getScriptFileNames: () => fileNames.filter((path) => /\/(shared|functions)\//.test(path)),
    getScriptVersion: versionOf,
    getScriptSnapshot: (path) =>
      ts.sys.fileExists(path)
        ? ts.ScriptSnapshot.fromString(overlay.get(path)?.text ?? read(path))
        : undefined,
    getCurrentDirectory: () => ROOT,
    getDefaultLibFileName: (given) => ts.getDefaultLibFilePath(given),
    fileExists: (path) => ts.sys.fileExists(path),
    readFile: (path) => ts.sys.readFile(path),
    directoryExists: (path) => ts.sys.directoryExists(path),
    getDirectories: (path) => ts.sys.getDirectories(path),
  })
  const faults: string[] = []
  let version = 0
  for (const plant of plants) {
    const changed = new Map<string, string>()
    for (const edit of editsOf(plant)) {
      const path = join(ROOT, edit.file)
      changed.set(path, plantIn(edit, changed.get(path) ?? readFileSync(path, 'utf8')))
    }
    for (const [path, text] of changed) overlay.set(path, { text, version: ++version })
    for (const path of changed.keys()) {
      for (const { messageText, start } of [
        ...service.getSyntacticDiagnostics(path),
        ...service.getSemanticDiagnostics(path),
      ]) {
        faults.push(`${plant.name}: ${ts.flattenDiagnosticMessageText(messageText, ' ')} (at ${start})`)
      }
    }
    for (const path of changed.keys()) overlay.set(path, { text: read(path), version: ++version })
  }
  return faults
}
