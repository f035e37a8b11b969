import tseslint from 'typescript-eslint'

const ban = (selector, message) => ({ selector, message })

/** Chance for anything but tests comes from node:crypto. `Math` by any other name counts as well. */
const chance = [
  ban("MemberExpression[object.name='Math'][property.name='random']", 'Math.random can be guessed'),
  ban("MemberExpression[object.name='Math'][property.value='random']", 'Math.random can be guessed'),
  ban("VariableDeclarator[init.name='Math']", 'Math.random can be guessed'),
  ban("CallExpression[callee.name='require'][arguments.0.value='node:crypto']", 'import it'),
  ban('[name=/^(pseudoRandomBytes|prng|rng)$/]', 'an old name in node:crypto; use randomBytes'),
]

const ambient = [
  ban("MemberExpression[object.name='Date'][property.name='now']", 'Date.now: the clock is passed in'),
  ban("NewExpression[callee.name='Date'][arguments.length=0]", 'new Date(): the clock is passed in'),
]

/** What proves who somebody is, by how it is called. A fence, and a hash of what its sender knows, prove nobody. */
const PROOF =
  /^(?!lease_?token$|content_?hash$)(.*(_|\b))?((authen|auth|login)_?code|signature|sign|mac|hmac|digest|hash|secret|token|password|proof|otp)s?$/i

const proofs = {
  meta: { schema: [], messages: { inTime: '{{name}} proves something: compare it with sameText' } },
  create({ report }) {
    const bare = (node) =>
      ['TSAsExpression', 'TSNonNullExpression', 'ChainExpression', 'AwaitExpression'].includes(node?.type)
        ? bare(node.expression ?? node.argument)
        : node
    const nameOf = (given) => {
      const node = bare(given)
      if (node?.type === 'Identifier') return snake(node.name)
      if (node?.type === 'MemberExpression')
        return node.object.name === 'lease' ? '' : snake(node.property.name ?? node.property.value)
      if (node?.type === 'CallExpression')
        return /^(toString|digest|slice|trim|toLowerCase|toUpperCase|reveal)$/.test(
          node.callee.property?.name,
        )
          ? node.callee.property.name === 'digest'
            ? 'digest'
            : nameOf(node.callee.object)
          : snake(node.callee.name)
      return ''
    }
    const snake = (name) =>
      String(name ?? '')
        .replaceAll(/([a-z])([A-Z])/g, '$1_$2')
        .toLowerCase()
    // Whether there is one at all, and whether it is of a kind, tells nothing.
    const known = (given) => {
      const node = bare(given)
      return node?.type === 'Literal' || node?.name === 'undefined' || node?.operator === 'typeof'
    }
    const look = (node, ...sides) => {
      if (sides.some(known)) return
      const name = sides.map(nameOf).find((each) => PROOF.test(each))
      if (name !== undefined) report({ node, messageId: 'inTime', data: { name } })
    }
    return {
      BinaryExpression(node) {
        if (/^[!=]==?$/.test(node.operator)) look(node, node.left, node.right)
      },
      SwitchStatement: (node) => look(node, node.discriminant),
      CallExpression(node) {
        const { object, property } = node.callee
        if (['equals', 'compare', 'localeCompare'].includes(property?.name))
          look(node, object, ...node.arguments)
        if (object?.name === 'Object' && property?.name === 'is') look(node, ...node.arguments)
        if (['includes', 'indexOf'].includes(property?.name) && node.arguments.length > 0)
          look(node, node.arguments[0])
      },
    }
  },
}

export default tseslint.config(
  { ignores: ['node_modules/', '.build/', '.local/', '**/*.cjs', '**/*.mjs', 'examples/**/lib/*.js'] },
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/unbound-method': 'off',
      eqeqeq: 'error',
    },
  },
  {
    files: ['functions/**', 'shared/**', 'cli/**', 'deploy/**', 'local/**'],
    plugins: { ours: { rules: { proofs } } },
    rules: { 'no-restricted-syntax': ['error', ...chance], 'ours/proofs': 'error' },
  },
  {
    // The clock and randomness are passed in: only the places that provide them may touch the real ones.
    files: ['functions/**', 'shared/**'],
    ignores: ['shared/base/time.ts', 'shared/base/random.ts', 'shared/base/compare.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        ...chance,
        ...ambient,
        ban("ImportSpecifier[imported.name='timingSafeEqual']", 'sameText compares what proves something'),
        ban(
          'ImportSpecifier[imported.name=/^random(Bytes|Int|UUID|FillSync)$|^getRandomValues$/]',
          'randomness is passed in',
        ),
      ],
    },
  },
  {
    files: ['test/**', 'local/**', 'cli/**', 'deploy/**'],
    rules: {
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
    },
  },
  {
    // How long a test may take is one generous number in jest.config.cjs: a busy machine may be ten times as slow.
    files: ['test/**'],
    rules: {
      'no-restricted-syntax': [
        'error',
        ban(
          'CallExpression[callee.name=/^(test|it|(before|after)(All|Each))$/] > Literal.arguments[raw=/^[0-9_]+$/][value<120000]',
          'no test has less time than jest.config.cjs gives it',
        ),
      ],
    },
  },
)
