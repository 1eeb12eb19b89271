import t from 'tap'
import { textHash } from '../../../lib/picker/balancers/text-hash.js'
import { chiBound, chiSquare } from '../../fixtures/crowd.js'
import { seeded } from '../../fixtures/pure.js'

const N = 50_000
const CLASSES = 512
const hex = (random: () => number, digits: number): string => Array.from({ length: digits }, () => Math.floor(random() * 16).toString(16)).join('')

/** Families of texts as keys and peers are named. */
function families (): Record<string, string[]> {
  const random = seeded(7)
  const of = (text: (i: number) => string): string[] => Array.from({ length: N }, (_, i) => text(i))
  return {
    'sequential IPv4': of(i => `10.${i >> 16}.${i >> 8 & 255}.${i & 255}`),
    'IPv4 that differ in the first part': of(i => `${i & 255}.${i >> 8}.0.1`),
    'sequential IPv6': of(i => `2001:db8::${i.toString(16)}`),
    UUIDs: of(() => `${hex(random, 8)}-${hex(random, 4)}-4${hex(random, 3)}-a${hex(random, 3)}-${hex(random, 12)}`),
    numbers: of(String),
    'long texts that differ at the end': of(i => `${'/a/long/path'.repeat(20)}?id=${i}`),
    'long texts that differ at the front': of(i => `${i}${'/a/long/path'.repeat(20)}`),
    unicode: of(i => String.fromCodePoint(0x4e00 + i % 20_000, 0x1f600 + Math.floor(i / 20_000))),
    'one unit': Array.from({ length: 65_536 }, (_, i) => String.fromCharCode(i)),
    'the same unit again and again': of(i => 'a'.repeat(i % 5000) + 'b'.repeat(Math.floor(i / 5000))),
    peers: of(i => `http://10.0.${i >> 8}.${i & 255}:8080`)
  }
}

t.test('texts spread evenly, in their low bits, their high bits and by a prime, for each seed', async t => {
  for (const [name, texts] of Object.entries(families())) {
    for (const seed of [0, 1, 2]) {
      const ways: Record<string, (hash: number) => number> = {
        low: hash => hash % CLASSES,
        high: hash => Math.floor(hash / 2 ** 32 * CLASSES),
        prime: hash => Math.floor(hash % 65537 / 65537 * CLASSES)
      }
      for (const [way, classOf] of Object.entries(ways)) {
        const counts = Array.from({ length: CLASSES }, () => 0)
        for (const text of texts) (counts[classOf(textHash(text, seed))] as number)++
        const chi = chiSquare(counts, counts.map(() => 1))
        t.ok(chi < chiBound(CLASSES), `${name}, ${way}, seed ${seed}: ${chi.toFixed()} below ${chiBound(CLASSES).toFixed()}`)
      }
    }
  }
})

t.test('seeds make hashes that know nothing of each other', async t => {
  const names = families()['peers'] ?? []
  for (const [a, b] of [[0, 1], [0, 2], [1, 2]] as const) {
    const counts = Array.from({ length: 32 * 32 }, () => 0)
    for (const name of names) (counts[textHash(name, a) % 32 * 32 + textHash(name, b) % 32] as number)++
    const chi = chiSquare(counts, counts.map(() => 1))
    t.ok(chi < chiBound(counts.length), `${a} and ${b}: ${chi.toFixed()}`)
  }
})

t.test('32 bits, the same every time; no text is a text', async t => {
  for (const text of ['', 'a', 'ä', '\0', '\ud800', '🦊'.repeat(1000)]) {
    const hash = textHash(text, 0)
    t.ok(Number.isInteger(hash) && hash >= 0 && hash < 2 ** 32, JSON.stringify(text.slice(0, 4)))
    t.equal(textHash(text, 0), hash)
    t.not(textHash(text, 1), hash, 'another seed, another hash')
  }
  t.equal(new Set(['', '\0', '\0\0', ' '].map(text => textHash(text, 0))).size, 4)
})

t.test('golden vectors of MurmurHash3, of bytes in pairs', async t => {
  const vectors: Array<[bytes: string, seed: number, hash: number]> = [
    ['', 0, 0],
    ['', 1, 0x514e28b7],
    ['', 0xffffffff, 0x81f16f39],
    ['\u4321\u8765', 0, 0xf55b516b],
    ['\u4321\u8765', 0x5082edee, 0x2362f9de],
    ['\u4321', 0, 0xa0f7b07a],
    ['\0\0', 0, 0x2362f9de],
    ['\0', 0, 0x30f4c306]
  ]
  for (const [text, seed, hash] of vectors) t.equal(textHash(text, seed), hash, `${JSON.stringify(text)} by ${seed}`)
})
