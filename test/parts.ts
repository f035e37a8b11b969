/**
 * What proves this repository, in parts. `npm test` runs QUICK; `npm run test:all` runs QUICK, and then REST, which is
 * what QUICK left out. Parts of one stage run side by side, because each of them keeps one core busy.
 */
export type Part = {
  name: string
  /** What is shown when it holds. */
  proves: string
  command: readonly string[]
  env?: Readonly<Record<string, string>>
}
export type Stage = readonly Part[]

/** Runs of the simulator. They go by their number: the second command goes on where the first one stopped. */
export const RUNS = { quick: 5_000, all: 30_000 }
/** Cases of each property. */
export const CASES = { quick: 1_000, prove: 100_000 }
/** Of ten thousand due orders, five thousand cut connections and a thousand programs on each server. */
export const RACES = { all: 0.5, prove: 1 }

const suites = (...folders: string[]) => ['npx', 'jest', ...folders.map((folder) => `test/${folder}/`)]
const simulation = (suite: string, from: number, to: number) => ({
  command: ['npx', 'jest', `test/simulation/${suite}.test.ts`],
  env: { SIMULATION_SEED: `${from + 1}`, SIMULATION_RUNS: `${to - from}` },
})

/** Node alone is all it takes. */
export const QUICK: readonly Stage[] = [
  [
    { name: 'types', proves: 'every program fits its types', command: ['npm', 'run', '--silent', 'types'] },
    { name: 'lint', proves: 'the rules about the code', command: ['npx', 'eslint', '.'] },
    {
      name: 'format',
      proves: 'one way of writing',
      command: ['npx', 'prettier', '--check', '--log-level=warn', '.'],
    },
  ],
  [
    {
      name: 'rooms',
      proves: `each room by itself, the house, the store on SQLite, properties at ${CASES.quick} cases, the bundles`,
      command: [
        ...suites('structure', 'unit', 'contract', 'property', 'e2e'),
        // Judging takes no time; playing does, and has a part of its own.
        'test/simulation/invariants.test.ts',
      ],
      env: { PROPERTY_RUNS: `${CASES.quick}` },
    },
  ],
  [
    {
      name: 'simulation',
      proves: `${RUNS.quick} simulated runs lose, double and invent nothing`,
      ...simulation('simulation', 0, RUNS.quick),
    },
  ],
]

/** Database servers, Chromium, other Nodes, or patience. */
export const REST: readonly Stage[] = [
  [
    {
      name: 'deployed',
      proves: 'the store on MariaDB and PostgreSQL, the bundles on three Nodes, the real sls',
      command: suites('servers', 'sls'),
    },
  ],
  [
    {
      name: 'browser',
      proves: "the payer's page, the board and the console in Chromium",
      command: suites('browser'),
    },
  ],
  [
    {
      name: 'races',
      proves: 'races between processes on both servers',
      command: suites('races'),
      env: { RACE_SCALE: `${RACES.all}` },
    },
  ],
  [
    {
      name: 'simulation further',
      proves: `${RUNS.all - RUNS.quick} more simulated runs; an instance may die at any await they come to`,
      ...simulation('further', RUNS.quick, RUNS.all),
    },
  ],
  [
    {
      name: 'plants',
      proves: 'guards taken away are missed',
      command: ['npx', 'jest', 'test/simulation/planted.test.ts'],
    },
  ],
  [
    {
      name: 'bench',
      proves: 'every row of the bench can be measured; no speed',
      command: ['npm', 'run', '--silent', 'bench', '--', '--smoke'],
    },
  ],
]
