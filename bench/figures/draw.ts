/** `npm run figures`: draws the pictures of docs anew, from the simulation that the tests use. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { figures } from './figures.js'

const folder = new URL('../../docs/figures/', import.meta.url)
mkdirSync(folder, { recursive: true })
for (const [name, svg] of figures()) {
  writeFileSync(new URL(name, folder), svg)
  console.log(`docs/figures/${name}`)
}
