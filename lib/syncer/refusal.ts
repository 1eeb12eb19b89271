/** The registry's word on a peer cannot be changed, or not now; the message is a sentence for whoever asked for it. */
export class Refusal extends Error {}

/** The registry did not answer, or not well. */
export class Unreachable extends Error {}
