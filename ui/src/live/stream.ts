/** What a page is told, in the words of `/api/v1/live`. */
export type Word =
  | { kind: 'ready' | 'reload' | 'deliveries' | 'tick' }
  | { kind: 'runs'; runs: string[] }
  | { kind: 'log'; attempt: number; next: number }
  | { kind: 'over'; why: string }

export const kinds = ['ready', 'reload', 'deliveries', 'tick', 'runs', 'log', 'over'] as const

/** The part of the browser's EventSource that is used; tests bring their own. */
export interface Source {
  addEventListener: (kind: string, run: (event: MessageEvent<string>) => void) => void
  onerror: ((event: Event) => void) | null
  close: () => void
}

export interface Wishes {
  /** The address, without the place to resume from. */
  url: string
  told: (word: Word) => void
  /** Whether words come. */
  flows: (flowing: boolean) => void
  open: (url: string) => Source
  /** Asks the gateway something, so that a token that is at its end is renewed; throws if it can't be asked. */
  knock: () => Promise<unknown>
}

/** Silence for longer than this is no silence: the connection is dead. The gateway ticks every 5 s. */
const SILENCE_MS = 12_000
const FIRST_PAUSE_MS = 300
const LONGEST_PAUSE_MS = 5000

/** One stream of a page: it reconnects by itself where it was cut, until it is closed. */
export class LiveStream {
  private source: Source | undefined
  private lastId = ''
  private pause = FIRST_PAUSE_MS
  private timer: ReturnType<typeof setTimeout> | undefined
  private closed = false

  constructor(private readonly wishes: Wishes) {
    this.connect()
  }

  close(): void {
    this.closed = true
    this.drop()
  }

  private drop(): void {
    clearTimeout(this.timer)
    this.source?.close()
    this.source = undefined
  }

  private connect(): void {
    const { url, open } = this.wishes
    const joint = url.includes('?') ? '&' : '?'
    const source = open(this.lastId ? `${url}${joint}after=${encodeURIComponent(this.lastId)}` : url)
    this.source = source
    this.expectWord()
    for (const kind of kinds) source.addEventListener(kind, (event) => this.heard(source, kind, event))
    source.onerror = () => {
      if (source === this.source) this.cut(true)
    }
  }

  private heard(source: Source, kind: Word['kind'], event: MessageEvent<string>): void {
    if (source !== this.source) return
    if (event.lastEventId) this.lastId = event.lastEventId
    const word = { kind, ...(JSON.parse(event.data) as object) } as Word
    this.pause = FIRST_PAUSE_MS
    this.expectWord()
    this.wishes.flows(true)
    this.wishes.told(word)
    if (word.kind === 'over') this.cut(false)
  }

  private expectWord(): void {
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.cut(true), SILENCE_MS)
  }

  private cut(trouble: boolean): void {
    this.drop()
    if (this.closed) return
    if (trouble) this.wishes.flows(false)
    this.timer = setTimeout(() => void this.again(), trouble ? this.pause : 0)
    this.pause = Math.min(this.pause * 2, LONGEST_PAUSE_MS)
  }

  private async again(): Promise<void> {
    try {
      await this.wishes.knock()
    } catch {
      if (!this.closed) this.cut(true)
      return
    }
    if (!this.closed) this.connect()
  }
}
