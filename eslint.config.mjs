import tseslint from 'typescript-eslint'

const ambient = (reason) => [
  {
    selector: "MemberExpression[object.name='Math'][property.name='random']",
    message: `Math.random: ${reason}`,
  },
  { selector: "MemberExpression[object.name='Date'][property.name='now']", message: `Date.now: ${reason}` },
  { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: `new Date(): ${reason}` },
]

export default tseslint.config(
  { ignores: ['node_modules/', '.build/', '.local/', '**/*.cjs', '**/*.mjs'] },
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
    // The clock and randomness are passed in: only the places that provide them may touch the real ones.
    files: ['functions/**', 'shared/**'],
    ignores: ['shared/base/time.ts', 'shared/base/random.ts'],
    rules: { 'no-restricted-syntax': ['error', ...ambient('the clock and randomness are passed in')] },
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
)
