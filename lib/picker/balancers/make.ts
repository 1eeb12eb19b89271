import type { BalancerName } from '../../store/settings.js'
import type { Balancer } from '../balancer.js'
import { Hash } from './hash.js'
import { LeastRequests } from './least-requests.js'
import { Own } from './own.js'
import { P2cEwma } from './p2c-ewma.js'
import { Random } from './random.js'
import { RoundRobin } from './round-robin.js'

const KINDS: Readonly<Record<BalancerName, new (random: () => number) => Balancer>> = {
  'round-robin': RoundRobin,
  'least-requests': LeastRequests,
  'p2c-ewma': P2cEwma,
  hash: Hash,
  random: Random
}

/** A balancer of that name, or one around an object that a user wrote. */
export function make (balancer: BalancerName | object, random: () => number): Balancer {
  return typeof balancer === 'string' ? new KINDS[balancer](random) : new Own(balancer as Balancer, random)
}

/** What a balancer is called where it is shown. */
export function nameOf (balancer: BalancerName | object): string {
  if (typeof balancer === 'string') return balancer
  const { name } = balancer as Partial<Balancer>
  return typeof name === 'string' && name !== '' ? name : 'own'
}
