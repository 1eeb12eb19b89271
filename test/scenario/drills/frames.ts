/** Bytes before the payload of an HTTP/2 frame, and of a gRPC message in it. */
const FRAME = 9
const GRPC = 5
const DATA = 0

/**
 * Looks into what etcd sends on one connection for the answer that says that a watch was created, and nothing more. Gives the
 * offset of what follows it in the chunk, or null.
 */
export function createdAt (): (chunk: Buffer) => number | null {
  // What of a frame came at the end of a chunk and waits for the rest.
  let rest = Buffer.alloc(0)
  return chunk => {
    const before = rest.length
    const all = Buffer.concat([rest, chunk])
    let at = 0
    while (at + FRAME <= all.length) {
      const end = at + FRAME + all.readUIntBE(at, 3)
      if (end > all.length) break
      if (all[at + 3] === DATA && saysCreated(all.subarray(at + FRAME, end))) return end - before
      at = end
    }
    rest = all.subarray(at)
    return null
  }
}

/** WatchResponse { header = 1, watch_id = 2, created = 3 }: a header, no id since it is 0, and `created: true` at the end. */
function saysCreated (payload: Buffer): boolean {
  const message = payload.subarray(GRPC)
  if (message.length < 4 || message.length !== payload.readUInt32BE(1) || message[0] !== 0x0a) return false
  const afterHeader = 2 + (message[1] ?? 0)
  return message.length === afterHeader + 2 && message[afterHeader] === 0x18 && message[afterHeader + 1] === 1
}
