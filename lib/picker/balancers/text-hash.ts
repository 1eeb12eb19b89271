/**
 * 32 bits of a text: FNV-1a over its UTF-16 units, then MurmurHash3's finalizer, so that each bit depends on each unit.
 * For spreading only: whoever chooses the texts can choose where they go. `seed` makes further, independent hashes.
 */
export function textHash (text: string, seed: number): number {
  let hash = 0x811c9dc5 ^ seed
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ hash >>> 16, 0x85ebca6b)
  hash = Math.imul(hash ^ hash >>> 13, 0xc2b2ae35)
  return (hash ^ hash >>> 16) >>> 0
}
