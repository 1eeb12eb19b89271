import fc from 'fast-check'
import t from 'tap'
import { Frames, goingAway } from '../../lib/io/frames.js'

interface Frame { readonly opcode: number, readonly fin: boolean, readonly isMasked: boolean, readonly size: number }

/** A frame's bytes; payloads are full of what looks like headers. */
function bytesOf ({ opcode, fin, isMasked, size }: Frame): Buffer {
  const length = size < 126 ? [size] : size < 65_536 ? [126, size >> 8, size & 0xff] : [127, 0, 0, 0, 0, 0, size >> 16, (size >> 8) & 0xff, size & 0xff]
  const [short = 0, ...rest] = length
  return Buffer.concat([
    Buffer.from([(fin ? 0x80 : 0) | opcode, (isMasked ? 0x80 : 0) | short, ...rest, ...(isMasked ? [0x88, 0x02, 0x03, 0xe9] : [])]),
    Buffer.alloc(size, 0x88)
  ])
}

const frame = fc.record({
  opcode: fc.constantFrom(0, 1, 2, 9, 10),
  fin: fc.boolean(),
  isMasked: fc.boolean(),
  size: fc.oneof(fc.constantFrom(0, 1, 125, 126, 127, 65_535, 65_536, 70_000), fc.nat(300))
})

t.test('frames end where they end, however they are cut', async t => {
  t.doesNotThrow(() => fc.assert(fc.property(fc.array(frame, { maxLength: 12 }), fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1 }), (wanted, cuts) => {
    const whole = wanted.map(bytesOf)
    const stream = Buffer.concat(whole)
    const ends = whole.reduce<number[]>((before, bytes) => [...before, (before.at(-1) ?? 0) + bytes.length], [])
    const frames = new Frames()
    for (let at = 0, i = 0; at < stream.length; i++) {
      const next = Math.min(stream.length, at + (cuts[i % cuts.length] ?? 1))
      const end = ends.findLast(end => end > at && end <= next)
      if (frames.take(stream.subarray(at, next)) !== (end === undefined ? 0 : end - at)) return false
      if (frames.isBetween !== ends.includes(next) || frames.isClosed) return false
      at = next
    }
    return true
  }), { seed: 7, numRuns: 300 }))
})

t.test('a Close frame counts when it is whole', async t => {
  for (const isMasked of [false, true]) {
    for (const size of [0, 2, 125]) {
      const bytes = Buffer.concat([bytesOf({ opcode: 1, fin: true, isMasked, size: 300 }), bytesOf({ opcode: 8, fin: true, isMasked, size })])
      const frames = new Frames()
      t.ok(frames.isBetween)
      for (const byte of bytes.subarray(0, -1)) frames.take(Buffer.from([byte]))
      t.notOk(frames.isClosed)
      t.equal(frames.take(bytes.subarray(-1)), 1)
      t.ok(frames.isClosed)
    }
  }
})

t.test('our own Close', async t => {
  t.same([...goingAway(null)], [0x88, 2, 0x03, 0xe9])
  t.same([...goingAway(Buffer.from([1, 2, 3, 4]))], [0x88, 0x82, 1, 2, 3, 4, 0x03 ^ 1, 0xe9 ^ 2])
  for (const bytes of [goingAway(null), goingAway(Buffer.from([1, 2, 3, 4]))]) {
    const frames = new Frames()
    t.equal(frames.take(bytes), bytes.length)
    t.ok(frames.isClosed)
  }
})
