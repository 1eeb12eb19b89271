/**
 * Tells layouts apart by value, for those who have several or do not want to say which. It costs a few reads of
 * properties: the value is parsed once, for all. What nobody claims is plain.
 */
import { decodeAddressText, isAddressText } from './address-text.js'
import { decodeApisix, isApisix } from './apisix.js'
import { decodeGoMicro, isGoMicro } from './go-micro.js'
import { decodeGrpc, isGrpc } from './grpc.js'
import type { Format, Input } from './input.js'
import { decodeKitex, isKitex } from './kitex.js'
import { decodeKratos, isKratos } from './kratos.js'
import { decodePlain } from './plain.js'
import type { Decoded } from './registration.js'
import { decodeSkydns, isSkydns } from './skydns.js'
import { decodeTraefik, isTraefik } from './traefik.js'
import { decodeVulcand, isVulcand } from './vulcand.js'

/** The first that says yes decodes. go-micro comes before APISIX, whose `nodes` are read in more forms. */
const LAYOUTS: ReadonlyArray<readonly [claims: (input: Input) => boolean, decode: Format]> = [
  [isTraefik, decodeTraefik],
  [isGrpc, decodeGrpc],
  [isKitex, decodeKitex],
  [isGoMicro, decodeGoMicro],
  [isApisix, decodeApisix],
  [isKratos, decodeKratos],
  [isVulcand, decodeVulcand],
  [isSkydns, decodeSkydns],
  [isAddressText, decodeAddressText]
]

/** Decodes one entry in the layout that it is in; throws when nothing can be made of it. */
export function decodeAuto (input: Input): Decoded {
  for (const [claims, decode] of LAYOUTS) if (claims(input)) return decode(input)
  return decodePlain(input)
}
