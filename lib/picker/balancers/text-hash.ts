/**
 * 32 bits of a text: MurmurHash3 (x86, 32 bits; Appleby) of its UTF-16 units, low byte first. For spreading only: whoever
 * chooses the texts can choose where they go. `seed` makes further, independent hashes.
 */
export function textHash (text: string, seed: number): number {
  const { length } = text
  let hash = seed
  for (let i = 1; i < length; i += 2) {
    hash ^= mixed(text.charCodeAt(i - 1) | text.charCodeAt(i) << 16)
    hash = Math.imul(hash << 13 | hash >>> 19, 5) + 0xe6546b64 | 0
  }
  if (length % 2 === 1) hash ^= mixed(text.charCodeAt(length - 1))
  hash ^= 2 * length
  hash = Math.imul(hash ^ hash >>> 16, 0x85ebca6b)
  hash = Math.imul(hash ^ hash >>> 13, 0xc2b2ae35)
  return (hash ^ hash >>> 16) >>> 0
}

function mixed (block: number): number {
  const product = Math.imul(block, 0xcc9e2d51)
  return Math.imul(product << 15 | product >>> 17, 0x1b873593)
}
