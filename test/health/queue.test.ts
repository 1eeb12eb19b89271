import fc from 'fast-check'
import t from 'tap'
import { Queue, Schedule } from '../../lib/health/queue.js'
import { PeerState } from '../../lib/store/peer.js'
import { peer, T0 } from '../fixtures/pure.js'

function schedules (n: number): Schedule[] {
  return Array.from({ length: n }, (_, i) => new Schedule(new PeerState(peer(`p${i}`), T0, null)))
}

t.test('the first is always one of those due earliest, whatever came, moved and went', async t => {
  const step = fc.record({ which: fc.nat({ max: 19 }), dueAt: fc.option(fc.integer({ min: 0, max: 9 }), { freq: 2 }) })
  fc.assert(fc.property(fc.array(step, { maxLength: 120 }), steps => {
    const queue = new Queue()
    const all = schedules(20)
    const waiting = new Set<Schedule>()
    for (const { which, dueAt } of steps) {
      const schedule = all[which] as Schedule
      if (dueAt === null) {
        queue.remove(schedule)
        waiting.delete(schedule)
      } else {
        schedule.dueAt = dueAt
        queue.add(schedule)
        waiting.add(schedule)
      }
      const earliest = Math.min(...[...waiting].map(({ dueAt }) => dueAt))
      if ((queue.first?.dueAt ?? Infinity) !== earliest) throw new Error(`${queue.first?.dueAt} is first, ${earliest} is due`)
      if (all.some(schedule => (schedule.place !== -1) !== waiting.has(schedule))) throw new Error('who is in it knows its place')
    }
    const left: number[] = []
    for (let next = queue.first; next !== undefined; next = queue.first) {
      left.push(next.dueAt)
      queue.remove(next)
    }
    const expected = [...waiting].map(({ dueAt }) => dueAt).sort((a, b) => a - b)
    if (String(left) !== String(expected)) throw new Error(`${left} instead of ${expected}`)
  }), { seed: 20240611, numRuns: 500 })
  t.pass()
})

t.test('cleared, it knows nobody, and nobody knows it', async t => {
  const queue = new Queue()
  const all = schedules(5)
  for (const schedule of all) queue.add(schedule)
  queue.clear()
  t.equal(queue.first, undefined)
  for (const schedule of all) {
    t.equal(schedule.place, -1)
    queue.add(schedule)
  }
  t.equal(queue.first, all[0])
})
