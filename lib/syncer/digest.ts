/**
 * A number that stands for what a key holds (FNV-1a, 32 bits, with the size): for telling a store from another one that
 * counts its revisions alike, not for keeping secrets.
 */
export function digestOf ({ value, size }: { readonly value: string, readonly size: number }): number {
  let hash = 0x811c9dc5 ^ size
  for (let i = 0; i < value.length; i++) hash = Math.imul(hash ^ value.charCodeAt(i), 0x01000193)
  // Signed, so that it takes no room of its own.
  return hash | 0
}
