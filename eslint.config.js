import neostandard from 'neostandard'

export default [
  ...neostandard({ ts: true, ignores: ['dist/', '.tap/', 'node_modules/'] }),
  {
    // What runs in a browser.
    files: ['lib/http/dashboard/assets/*.js'],
    languageOptions: { globals: { addEventListener: 'readonly', EventSource: 'readonly', location: 'readonly', ResizeObserver: 'readonly', scrollBy: 'readonly', TextEncoder: 'readonly', requestAnimationFrame: 'readonly' } }
  },
  {
    files: ['lib/**/*.ts'],
    rules: {
      // The house: no `any`, no `!`, no enum or namespace in lib; files stay under 250 lines and functions under 40.
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      'no-restricted-syntax': ['error', 'TSEnumDeclaration', 'TSModuleDeclaration[kind="namespace"]'],
      'max-lines': ['error', { max: 250 }],
      'max-lines-per-function': ['error', { max: 40, skipBlankLines: true, skipComments: true }]
    }
  }
]
