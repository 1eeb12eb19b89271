import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { figures } from '../../bench/figures/figures.js'

const folder = new URL('../../docs/figures/', import.meta.url)

t.test('the pictures of docs are those that `npm run figures` makes', async t => {
  const drawn = figures()
  t.same(readdirSync(folder).filter(name => name.endsWith('.svg')).sort(), [...drawn.keys()].sort())
  for (const [name, svg] of drawn) {
    t.ok(readFileSync(new URL(name, folder), 'utf8') === svg, `${name}: if not, run it and look at the pictures`)
    // What is no number or lies outside would be seen by nobody else.
    t.notMatch(svg, /NaN|Infinity|undefined/, name)
    t.match(svg, /<title id="title">[^<]{20,}<\/title>/, name)
    const sizes = [...svg.matchAll(/font-size="(\d+)"/g)].map(([, size]) => Number(size))
    t.ok(sizes.length > 10 && Math.min(...sizes) >= 11, `${name}: text of at least ${Math.min(...sizes)} px`)
  }
})
