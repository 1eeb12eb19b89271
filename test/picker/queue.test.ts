import fc from 'fast-check'
import t from 'tap'
import { Queue, queueOf, waitingIn, type Waiting } from '../../lib/picker/queue.js'
import { World } from '../fixtures/pure.js'

/** Waits until `room` says that it can go on; tells `order` then. */
function waiting (name: string, order: string[], room: () => boolean, isChoosy = false): Waiting {
  return {
    isChoosy,
    turn: () => {
      if (!room()) return false
      order.push(name)
      return true
    }
  }
}

t.test('first in, first out, as far as there is room', async t => {
  const queue = new Queue()
  const order: string[] = []
  let room = 0
  for (const name of 'abcde') t.ok(queue.join(waiting(name, order, () => room-- > 0), 5))
  t.equal(queue.length, 5)
  t.notOk(queue.join(waiting('f', order, () => true), 5), 'it is full')
  queue.serve()
  t.same(order, [], 'no room yet')
  room = 2
  queue.serve()
  t.same(order, ['a', 'b'])
  t.ok(queue.join(waiting('f', order, () => room-- > 0), 5), 'two places are free again')
  room = 9
  queue.serve()
  t.same(order, [...'abcdef'])
  t.equal(queue.length, 0)
})

t.test('a queue of 0 takes nobody', async t => {
  t.notOk(new Queue().join(waiting('a', [], () => true), 0))
})

t.test('who leaves is not asked, whoever leaves twice or was never there does no harm', async t => {
  const queue = new Queue()
  const order: string[] = []
  const [a, b, c] = ['a', 'b', 'c'].map(name => waiting(name, order, () => true)) as [Waiting, Waiting, Waiting]
  for (const one of [a, b, c]) queue.join(one, 9)
  queue.leave(b)
  queue.leave(b)
  queue.leave(waiting('x', order, () => true))
  t.equal(queue.length, 2)
  queue.serve()
  t.same(order, ['a', 'c'])
})

t.test('who has tried some peers does not block the others; whoever could take any does', async t => {
  const queue = new Queue()
  const order: string[] = []
  queue.join(waiting('choosy', order, () => false, true), 9)
  queue.join(waiting('a', order, () => true), 9)
  queue.join(waiting('stuck', order, () => false), 9)
  queue.join(waiting('b', order, () => true), 9)
  queue.serve()
  t.same(order, ['a'], 'b does not overtake')
  t.equal(queue.length, 3)
})

t.test('who goes on and ends at once makes room: all go, in order, without coming here twice', async t => {
  const queue = new Queue()
  const order: string[] = []
  let depth = 0
  for (const name of 'abc') {
    queue.join(waiting(name, order, () => {
      t.equal(depth++, 0, 'one at a time')
      queue.serve()
      depth--
      return true
    }), 9)
  }
  queue.serve()
  t.same(order, ['a', 'b', 'c'])
})

t.test('who leaves, or comes, during a turn', async t => {
  const queue = new Queue()
  const order: string[] = []
  const b = waiting('b', order, () => true)
  queue.join(waiting('a', order, () => {
    queue.leave(b)
    queue.join(waiting('late', order, () => true), 9)
    return true
  }), 9)
  queue.join(b, 9)
  queue.join(waiting('c', order, () => true), 9)
  queue.serve()
  t.same(order, ['a', 'c', 'late'])
  t.equal(queue.length, 0)
})

t.test('after a turn that throws the queue goes on being served', async t => {
  const queue = new Queue()
  const order: string[] = []
  const bad: Waiting = { isChoosy: false, turn: () => { throw new Error('bad') } }
  queue.join(bad, 9)
  queue.join(waiting('a', order, () => true), 9)
  t.throws(() => queue.serve(), { message: 'bad' })
  queue.leave(bad)
  queue.serve()
  t.same(order, ['a'])
})

t.test('each service has its own, made when somebody joins', async t => {
  const [one, two] = [new World().service, new World().service]
  t.equal(waitingIn(one), 0)
  t.equal(one.queue, null, 'looking makes none')
  queueOf(one).join(waiting('a', [], () => true), 1)
  t.equal(waitingIn(one), 1)
  t.equal(queueOf(one), queueOf(one))
  t.equal(waitingIn(two), 0)
})

t.test('whatever comes, leaves and is served: the order is kept, the bound as well', async t => {
  const step = fc.record({ kind: fc.constantFrom('join', 'join', 'leave', 'serve'), n: fc.nat(9), isChoosy: fc.boolean() })
  fc.assert(fc.property(fc.array(step, { maxLength: 80, size: 'max' }), steps => {
    const queue = new Queue()
    const served: number[] = []
    let model: Array<{ id: number, isChoosy: boolean, waiting: Waiting }> = []
    let room = 0
    for (const [id, { kind, n, isChoosy }] of steps.entries()) {
      if (kind === 'join') {
        // Choosy ones go on only where there is room for two.
        const one: Waiting = { isChoosy, turn: () => room > Number(isChoosy) && (room--, served.push(id), true) }
        if (queue.join(one, 5) !== (model.length < 5)) throw new Error('the bound')
        if (model.length < 5) model.push({ id, isChoosy, waiting: one })
      } else if (kind === 'leave') {
        const [gone] = model.splice(n, 1)
        if (gone !== undefined) queue.leave(gone.waiting)
      } else {
        room = n % 4
        const expected: number[] = []
        let left = room
        for (const { id, isChoosy } of model) {
          if (left > Number(isChoosy)) {
            left--
            expected.push(id)
          } else if (!isChoosy) break
        }
        const before = served.length
        queue.serve()
        if (served.slice(before).join() !== expected.join()) throw new Error(`${served.slice(before)} in place of ${expected}`)
        model = model.filter(({ id }) => !expected.includes(id))
      }
      if (queue.length !== model.length) throw new Error(`${queue.length} wait in place of ${model.length}`)
    }
  }), { seed: 20240611, numRuns: 300 })
  t.pass()
})
