import type { Contender } from './contenders.js'

export const natives: Contender[] = []
export function nativeVersions (): Record<string, string> { return {} }
