/** What is sent and answered, and what we promised ourselves of it. */

/** CPU per request of ours by that of `against`, at the most. */
export interface Target {
  readonly against: string
  readonly atMost: number
}

export interface Workload {
  readonly name: string
  readonly title: string
  readonly method: 'GET' | 'POST'
  /** Bytes of the request's body. */
  readonly sent: number
  /** Bytes of the answer's body. */
  readonly answer: number
  /** Where requests go: this path, or with `paths` above 1 this path and a number from 1 to `paths`, in turn. */
  readonly path: string
  readonly paths: number
  readonly connections: number
  /** How many times as long as usual a turn is. */
  readonly length: number
  /** Requests before the first round: until all is compiled, and all connections to all peers are there. */
  readonly warmUp: number
  /** The contender whose figures the ratios of the others are taken against. */
  readonly reference: string
  /** The only contenders that take part; null for all but variants. */
  readonly only: readonly string[] | null
  /** Loopback addresses of the backends, three ports each. */
  readonly hosts: number
  readonly targets: readonly Target[]
}

const usual = {
  method: 'GET',
  sent: 0,
  answer: 5,
  path: '/items/1',
  paths: 1,
  connections: 64,
  length: 1,
  warmUp: 20_000,
  reference: 'bare',
  only: null,
  hosts: 1,
  targets: []
} as const

const atMost = (against: string, share: number): Target => ({ against, atMost: share })

export const workloads: readonly Workload[] = [
  { ...usual, name: 'get-5b', title: 'GET of 5 B', targets: [atMost('bare', 0.70), atMost('floor', 1.20)] },
  { ...usual, name: 'paths-1000', title: 'GET of 5 B over 1,000 paths', path: '/items/', paths: 1000, targets: [atMost('bare', 0.70)] },
  { ...usual, name: 'get-10k', title: 'GET of 10 KiB', answer: 10 * 1024, targets: [atMost('bare', 0.75)] },
  { ...usual, name: 'post-10k', title: 'POST of 10 KiB, answered with 5 B', method: 'POST', sent: 10 * 1024, targets: [atMost('bare', 0.90)] },
  // Fewer connections and longer turns, because what is under way when the time is over is work that no request was counted for.
  { ...usual, name: 'get-1m', title: 'GET of 1 MiB', answer: 1024 * 1024, connections: 16, length: 5, warmUp: 1000, targets: [atMost('bare', 0.95)] },
  {
    ...usual,
    name: 'peers-200',
    title: 'GET of 5 B, 200 peers against 3',
    reference: 'ours',
    only: ['ours', 'ours-200-peers', 'floor', 'floor-200-peers'],
    hosts: 67
  },
  {
    ...usual,
    name: 'services-2000',
    title: 'GET of 5 B over 2,000 paths, 2,000 services of 3 peers against one service',
    path: '/s',
    paths: 2000,
    // Ten for each of the 6,000 peers.
    warmUp: 60_000,
    reference: 'ours',
    only: ['ours', 'ours-2000-services', 'floor', 'floor-2000-services']
  }
]
