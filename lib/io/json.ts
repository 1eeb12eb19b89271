import { parse } from 'secure-json-parse'
import type { ParseJson } from '../syncer/codec/registration.js'

/** JSON from a stranger: keys that would reach a prototype are dropped, at any depth. Throws when it is not JSON. */
export const parseJson: ParseJson = text => parse(text, null, { protoAction: 'remove', constructorAction: 'remove' })
