import { inWords, type Coded } from '@/i18n/sentences'

/** What the gateway says when something is not a success (RFC 9457), or what we say when it says nothing. */
export class Problem extends Error {
  override readonly name = 'Problem'

  constructor(
    /** HTTP status; 0 when no answer came. */
    readonly status: number,
    /** Stable word for programs. */
    readonly code: string,
    /** A sentence in the gateway's words; empty when no answer came. */
    readonly detail: string,
    /** Names the line of the gateway's log. */
    readonly requestId: string,
    /** The sentence by its code. */
    readonly coded?: Coded,
  ) {
    super(detail || code)
  }

  /** The sentence in the language that is spoken; empty when no answer came. */
  get words(): string {
    return inWords(this.detail, this.coded)
  }

  /** Whether the same request may go better later. */
  get passing(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500
  }

  /** Reads an answer that is no success; anything may have come from a proxy on the way. */
  static from(response: Response, body: unknown): Problem {
    const said = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>
    const text = (name: string) => (typeof said[name] === 'string' ? said[name] : '')
    const id = text('request_id') || (response.headers.get('x-request-id') ?? '')
    const coded = said.detail_coded as Coded | undefined
    return new Problem(response.status, text('code') || `http_${String(response.status)}`, text('detail'), id, coded)
  }

  /** No answer: the network, or a gateway that is being started again. */
  static unreachable(): Problem {
    return new Problem(0, 'unreachable', '', '')
  }
}
