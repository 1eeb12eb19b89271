/** Runs of characters that nobody has written by hand: keys and tokens of which nothing else is known. */

/** The alphabets of base64 and base64url; long enough for 128 bits and more. */
const RUN = /(?<![\w+/-])[\w+/-]{32,}={0,2}/g
const SHORTEST = 32
const HEX = /(?<![0-9A-Za-z])(?:[0-9a-f]{48,}|[0-9A-F]{48,})(?![0-9A-Za-z])/g
/** Digests are told to everybody; so are the fingerprints of keys. */
const DIGEST = /sha(?:256|384|512)[:-]$/i
const UUID = /[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/gi

/** Bits per character: those of chance have more, from 32 characters on. */
const ENTROPY = 3.9
/**
 * How much more often one kind of character (upper, lower, digit) follows another than characters stand in words. By chance
 * it is 0.4 and over this 98 times in 100, from 32 characters on; of names in camel case it is below.
 */
const CHANCE = -0.08

/** The text with `hidden` in place of each run that looks like chance. O(length). */
export function hideRuns (text: string, hidden: string): string {
  if (text.length < SHORTEST) return text
  const isDigest = (at: number): boolean => DIGEST.test(text.slice(Math.max(0, at - 7), at))
  return text
    .replace(RUN, (run: string, at: number) => isDigest(at) || DIGEST.test(run.slice(0, 7)) ? run : hideRun(run, hidden))
    .replace(HEX, (run: string, at: number, all: string) => DIGEST.test(all.slice(Math.max(0, at - 7), at)) ? run : hidden)
}

/** A `/` is of a path or of base64: neighbours that are no plain words are taken together. O(length). */
function hideRun (run: string, hidden: string): string {
  if (!run.includes('/')) return isRandom(run) ? hidden : run
  const parts = run.split('/')
  const isOdd = parts.map(part => !isPlain(part))
  // Some few characters between may look plain by chance.
  const joins = (i: number): boolean => isOdd[i] === true || (isOdd[i - 1] === true && isOdd[i + 1] === true && (parts[i] ?? '').length <= 4)
  const shown: string[] = []
  for (let from = 0, to = 0; from < parts.length; from = to) {
    to = from + 1
    while (joins(from) && to < parts.length && joins(to)) to++
    const group = parts.slice(from, to)
    shown.push(isRandom(group.join('/')) ? hidden : group.map(part => isRandom(part) ? hidden : part).join('/'))
  }
  // Chance begins and ends with what looks plain, too; a path is too wordy for that.
  return !shown.some(part => part.includes(hidden)) && isRandom(run) ? hidden : shown.join('/')
}

/** A word of a path: all in one case, or with one capital first. */
function isPlain (part: string): boolean {
  return /^(?:[a-z\d_-]*|[A-Z\d_-]*|[A-Z][a-z_-]*)$/.test(part)
}

function isRandom (run: string): boolean {
  if (run.length < SHORTEST) return false
  const rest = run.replace(UUID, '')
  const letters = rest.replace(/[^A-Za-z\d]+/g, '')
  // Names have separators all over; of base64 they are one character in 32.
  if (rest.length < SHORTEST || rest.length - letters.length > rest.length / 8 + 1) return false
  const counts = [/[^a-z]+/g, /[^A-Z]+/g, /\D+/g].map(others => letters.replace(others, '').length)
  const [lower = 0, upper = 0, digits = 0] = counts
  const enough = letters.length / 10
  return lower >= enough && upper >= enough && digits > 0 && changesOf(letters) - wordyOf(letters) > CHANCE && entropyOf(letters) >= ENTROPY
}

/** Of all neighbours, the share that is of different kinds. */
function changesOf (letters: string): number {
  return (letters.match(/(?<=[a-z])[^a-z]|(?<=[A-Z])[^A-Z]|(?<=\d)\D/g)?.length ?? 0) / (letters.length - 1)
}

/** The share of characters that stand among three or more in lower or four in upper case. */
function wordyOf (letters: string): number {
  return (letters.match(/[a-z]{3,}|[A-Z]{4,}/g) ?? []).join('').length / letters.length
}

function entropyOf (letters: string): number {
  const counts = new Map<string, number>()
  for (const letter of letters) counts.set(letter, (counts.get(letter) ?? 0) + 1)
  let bits = 0
  for (const count of counts.values()) bits -= count / letters.length * Math.log2(count / letters.length)
  return bits
}
