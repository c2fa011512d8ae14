import type { components } from '@/api/schema'
import { inWords } from '@/i18n/sentences'
import type { IconName } from '@/parts/icons'
import { absolute, relative } from '@/parts/clock'

type Attention = components['schemas']['Attention']

/** What a sentence is made of; `time` is put in words when it is shown. */
type Say = (key: string, named?: Record<string, unknown>, plural?: number) => string

/** One thing to look at. */
export interface Item {
  key: string
  /** Where a click leads. */
  to: string
  title: string
  /** Where it is. */
  where: string
  /** What is the matter. */
  text: string
  /** What to do about it. */
  next: string
  at?: string | undefined
}

/** Things of one kind. */
export interface Section {
  name: keyof Attention
  icon: IconName
  tone: 'bad' | 'warn'
  items: Item[]
}

const about = (one: { title: string; number: number }) => one.title || `#${String(one.number)}`
const where = (one: { repository: string; number: number; agent?: string | null }) => [`${one.repository} #${String(one.number)}`, one.agent].filter(Boolean).join(' · ')

/** What needs attention, in the order in which it presses; kinds of which there is nothing are left out. */
export function sections(attention: Attention, say: Say, clock: { now: number; language: string }): Section[] {
  const when = (at: string) => {
    const moment = new Date(at).getTime()
    return Math.abs(moment - clock.now) < 172_800_000 ? relative(moment, clock.now, clock.language) : absolute(moment, clock.language)
  }
  const all: Section[] = [
    {
      name: 'failed',
      icon: 'alert',
      tone: 'bad',
      items: attention.failed.map((one) => ({
        key: one.run,
        to: `/runs/${one.run}`,
        title: about(one),
        where: where(one),
        text: `${say(`outcome.${one.outcome}`)}. ${inWords(one.cause, one.cause_coded)}`.trim(),
        next: say(`next.${one.outcome}`),
        at: one.ended_at,
      })),
    },
    {
      name: 'stuck',
      icon: 'alert',
      tone: 'bad',
      items: attention.stuck.map((one, index) => ({
        key: `${one.run}-${String(index)}`,
        to: `/runs/${one.run}`,
        title: about(one),
        where: where(one),
        text: inWords(one.error, one.error_coded),
        next: say('home.step.stuck'),
        at: one.since,
      })),
    },
    {
      name: 'waiting',
      icon: 'clock',
      tone: 'warn',
      items: attention.waiting.map((one) => ({
        key: one.run,
        to: `/runs/${one.run}`,
        title: about(one),
        where: where(one),
        text: one.place ? say('home.place', { place: one.place }) : `${one.until ? say('home.until', { time: when(one.until) }) : ''} ${inWords(one.cause, one.cause_coded)}`.trim(),
        next: say(one.place ? 'home.step.slot' : 'home.step.limit'),
        at: one.since,
      })),
    },
    {
      name: 'deliveries',
      icon: 'deliveries',
      tone: 'warn',
      items: attention.deliveries.map((one) => ({
        key: one.delivery,
        to: `/deliveries/${one.delivery}`,
        title: say(`verdict.${one.verdict}`),
        where: [one.repository, one.number && `#${String(one.number)}`].filter(Boolean).join(' '),
        text: inWords(one.reason, one.reason_coded),
        next: say(`home.step.${one.verdict}`),
        at: one.received_at,
      })),
    },
    {
      name: 'storms',
      icon: 'pause',
      tone: 'warn',
      items: attention.storms.map((one) => ({
        key: `${one.repository}-${String(one.number)}`,
        to: `/deliveries?q=${String(one.number)}&verdict=loop_guard`,
        title: `${one.repository} #${String(one.number)}`,
        where: say('home.held', { count: one.held_back }, one.held_back),
        text: inWords(one.reason, one.reason_coded),
        next: say('home.step.storm'),
        at: one.last_at,
      })),
    },
    {
      name: 'hooks',
      icon: 'deliveries',
      tone: 'warn',
      items: attention.hooks.map((one) => ({
        key: one.repository,
        to: '/repositories',
        title: one.repository,
        where: one.project,
        text: inWords(one.problem, one.problem_coded),
        next: say('home.step.hook'),
      })),
    },
    { name: 'credentials', icon: 'key', tone: 'warn', items: ending(attention, say, when) },
  ]
  return all.filter((section) => section.items.length > 0)
}

function ending(attention: Attention, say: Say, when: (at: string) => string): Item[] {
  const credentials = attention.credentials.map((one) => ({
    key: one.repository,
    to: '/repositories',
    title: say(one.login ? 'home.credential_of' : 'home.credential', { repository: one.repository, login: one.login }),
    where: one.project,
    text: one.refused || !one.expires_at ? say('home.refused') : say('home.ends', { time: when(one.expires_at) }),
    next: say('home.step.credential'),
  }))
  const tokens = attention.tokens.map((one) => ({
    key: one.name,
    to: '/profile',
    title: say('home.token', { name: one.name }),
    where: '',
    text: say('home.ends', { time: when(one.expires_at) }),
    next: say('home.step.token'),
  }))
  return [...credentials, ...tokens]
}
