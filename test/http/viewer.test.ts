import { once } from 'node:events'
import t from 'tap'
import { atOnce, inSlices } from '../../lib/http/inspect/slices.js'
import { Viewer } from '../../lib/http/events/viewer.js'
import { T0 } from '../fixtures/pure.js'

const KB = 1024
const chunk = (size: number): Buffer => Buffer.alloc(size, 'x')

function viewerOf () {
  const calls = { cut: 0, last: 0, hungUp: 0 }
  const viewer = new Viewer(7, { cut: () => { calls.cut++ }, last: () => { calls.last++ }, hangUp: () => { calls.hungUp++ } })
  viewer.welcome(7)
  return { viewer, calls }
}

t.test('one who does not read is left out beyond a bound, and let go after 30 s without a byte', async t => {
  const { viewer, calls } = viewerOf()
  let offered = 0
  while (viewer.offer(chunk(KB), T0)) offered++
  t.equal(offered, 257)
  const { readableLength } = viewer.out
  t.notOk(Array.from({ length: 10_000 }, (_, i) => viewer.offer(chunk(KB), T0 + i)).includes(true))
  t.equal(viewer.out.readableLength, readableLength, 'nothing more lies here')
  t.equal(viewer.isLive, false)
  viewer.look(T0 + 30_000)
  t.equal(calls.cut, 0)
  viewer.look(T0 + 30_001)
  t.equal(calls.cut, 1)
  t.ok(viewer.out.destroyed)
  viewer.send(chunk(1))
  viewer.look(T0 + 90_000)
  viewer.end(0)
  t.same(calls, { cut: 1, last: 0, hungUp: 0 }, 'once is enough')
})

t.test('one who reads slowly is not', async t => {
  const { viewer, calls } = viewerOf()
  viewer.send(chunk(400 * KB))
  t.equal(viewer.offer(chunk(1), T0), false, 'too much lies here')
  for (let i = 1; i <= 6; i++) {
    viewer.out.read(60 * KB)
    viewer.look(T0 + i * 29_000)
    t.same([calls.cut, viewer.waits], [0, false])
  }
  viewer.out.read()
  viewer.look(T0 + 7 * 29_000)
  t.same([calls.cut, viewer.waits, viewer.isLive], [0, true, false], 'it has caught up, and waits for a snapshot')
  viewer.welcome(7)
  t.ok(viewer.offer(chunk(1), T0 + 8 * 29_000))
  viewer.look(T0 + 1e9)
  t.equal(calls.cut, 0, 'who is not behind may take its time')
})

t.test('a snapshot on its way may be as long as it is', async t => {
  const { viewer } = viewerOf()
  viewer.send(chunk(900 * KB))
  viewer.welcome(8)
  t.equal(viewer.seen, 8)
  t.ok(viewer.offer(chunk(255 * KB), T0))
  t.ok(viewer.offer(chunk(2 * KB), T0))
  t.notOk(viewer.offer(chunk(1), T0), 'but not more on top')
  viewer.out.read()
  viewer.look(T0)
  viewer.welcome(9)
  t.ok(viewer.offer(chunk(300 * KB), T0))
  t.notOk(viewer.offer(chunk(1), T0), 'nor after it has arrived')
})

t.test('a long text is one text still', async t => {
  const { viewer } = viewerOf()
  const text = Buffer.from(Array.from({ length: 300 * KB }, (_, i) => i % 251))
  viewer.send(text)
  const pieces: Buffer[] = []
  for (let piece = viewer.out.read(); piece !== null; piece = viewer.out.read()) pieces.push(piece)
  t.ok(Buffer.concat(pieces).equals(text))
})

t.test('the end: nothing comes after it, and what has not got through is cut', async t => {
  const { viewer, calls } = viewerOf()
  viewer.send(Buffer.from('a'))
  viewer.end(1)
  viewer.end(1)
  viewer.send(Buffer.from('b'))
  t.equal(viewer.offer(Buffer.from('c'), T0), false)
  t.equal(calls.last, 1)
  const got: Buffer[] = []
  viewer.out.on('data', piece => { got.push(piece) })
  await once(viewer.out, 'close')
  t.equal(Buffer.concat(got).toString(), 'a')
})

t.test('a long work lets others go first, and stops when it is not wanted', async t => {
  const work = function * (): Generator<undefined, string> {
    for (let i = 0; i < 100; i++) yield
    return 'done'
  }
  t.equal(atOnce(work()), 'done')
  let [now, turns] = [0, 0]
  let isOver = false
  setImmediate(function again () {
    turns++
    if (!isOver) setImmediate(again)
  })
  t.teardown(() => { isOver = true })
  let stopAt = Infinity
  t.equal(await inSlices(work(), () => now++, () => turns < stopAt), 'done')
  t.ok(turns >= 10, `${turns} turns of others`)
  stopAt = turns + 3
  t.equal(await inSlices(work(), () => now++, () => turns < stopAt), null)
  t.equal(await inSlices(work(), () => 0, () => false), 'done', 'what is done in one go is done')
})
