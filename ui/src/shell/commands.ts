import type { IconName } from '@/parts/icons'

/** Something that the palette offers. */
export interface Command {
  id: string
  text: string
  icon: IconName
  keys?: string
  run: () => void
}

/** Those whose words begin, in any order, with the words that were typed. */
export function matching(commands: readonly Command[], typed: string): Command[] {
  const wanted = words(typed)
  return commands.filter((command) => {
    const offered = words(command.text)
    return wanted.every((word) => offered.some((candidate) => candidate.startsWith(word)))
  })
}

function words(text: string): string[] {
  return text.toLocaleLowerCase().split(/[^\p{L}\p{N}]+/u).filter(Boolean)
}
