import t from 'tap'
import { drills } from './drills/drills.js'
import { runDrill } from './drills/outcome.js'

/** Those of the drills that take few seconds and that no other test has a like of. The rest is `npm run test:drills`. */
const quick = ['cut in mid catch-up', '6 MB backlog', 'has passed the old cursor', 'older snapshot restored', '10,000 puts', 'auth on']

for (const word of quick) {
  for (const drill of drills.filter(({ name }) => name.includes(word))) {
    t.test(drill.name, async t => {
      const { outcome, line } = await runDrill(drill)
      t.equal(outcome, 'ok', line)
    })
  }
}
