import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test as base, type Page } from '@playwright/test'

interface State {
  gateway_url: string
  forge_url: string
  forge_tokens: Record<string, string>
  postgres_url: string
  /** Processes by role; none while one is started again. */
  pids: Partial<Record<'gateway' | 'worker', number>>
}

const readState = () => JSON.parse(readFileSync(process.env.CODEX_K8S_STATE ?? '../.dev/state.json', 'utf8')) as State

/** Where the platform of `cargo dev up` is. */
export const state = readState()

export type Login = 'maintainer' | 'writer' | 'reader'

/** Signs a person in as people do: through the stand-in for GitHub. */
export async function signIn(page: Page, login: Login, to = '/'): Promise<void> {
  await page.goto(to)
  await page.getByRole('link', { name: 'Sign in with GitHub' }).click()
  await page.getByRole('button', { name: `Sign in as ${login}`, exact: true }).click()
  await expect(page.getByRole('navigation', { name: 'Main' })).toBeVisible()
}

async function asMaintainer(path: string, body: unknown, method = 'POST'): Promise<unknown> {
  const answer = await fetch(`${state.forge_url}${path}`, {
    method,
    headers: { authorization: `Bearer ${state.forge_tokens.maintainer ?? ''}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  expect(answer.ok, `${path}: ${String(answer.status)}`).toBe(true)
  return answer.json()
}

/** Opens an issue whose title chooses what the scripted model does. */
export async function openIssue(title: string, scenario: string): Promise<number> {
  const issue = (await asMaintainer('/repos/acme/greeter/issues', { title: `${title} [scenario:${scenario}]`, body: 'See the failing test.' })) as { number: number }
  return issue.number
}

/** Makes a repository of the maintainer's that nobody has attached; gives its full name. */
export async function makeRepository(name: string): Promise<string> {
  await asMaintainer('/user/repos', { name, private: true })
  await asMaintainer(`/repos/maintainer/${name}/contents/README.md`, { message: 'Begin', content: btoa('Hello.') }, 'PUT')
  return `maintainer/${name}`
}

/** Writes a file of a repository, as the maintainer. */
export async function commitFile(full: string, path: string, text: string): Promise<void> {
  const at = `/repos/${full}/contents/${path}`
  const there = await fetch(state.forge_url + at, { headers: { authorization: `Bearer ${state.forge_tokens.maintainer ?? ''}` } })
  const sha = there.ok ? ((await there.json()) as { sha: string }).sha : undefined
  await asMaintainer(at, { message: `Write ${path}`, content: btoa(text), ...(sha !== undefined && { sha }) }, 'PUT')
}

/** Attaches a repository, over the dialog, as the maintainer; waits until it is connected. */
export async function attachRepository(page: Page, full: string, project?: string): Promise<void> {
  await page.goto('/repositories')
  await page.getByRole('button', { name: 'Attach a repository' }).click()
  const dialog = page.getByRole('dialog', { name: 'Attach a repository' })
  if (project !== undefined) await dialog.getByLabel('Project').selectOption(project)
  await dialog.getByLabel('Repository').fill(full)
  await dialog.getByLabel('Token').fill(state.forge_tokens.maintainer ?? '')
  await dialog.getByRole('button', { name: 'Attach', exact: true }).click()
  await expect(page.getByRole('dialog').getByText(/is connected\./)).toBeVisible({ timeout: 60_000 })
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click()
}

/** Puts a label on an issue. */
export async function labelIssue(number: number, label: string): Promise<void> {
  await asMaintainer(`/repos/acme/greeter/issues/${String(number)}/labels`, { labels: [label] })
}

/** Closes an issue. */
export async function closeIssue(number: number): Promise<void> {
  await asMaintainer(`/repos/acme/greeter/issues/${String(number)}`, { state: 'closed' }, 'PATCH')
}

/** Changes what the platform has stored, for a time that no test wants to wait. */
export function changeStored(sql: string): void {
  const { hostname, port, username, password, pathname } = new URL(state.postgres_url)
  execFileSync(join(process.env.CODEX_K8S_POSTGRES_BIN ?? '', 'psql'), ['--no-psqlrc', '--quiet', '--set=ON_ERROR_STOP=1', `--command=${sql}`], {
    env: { ...process.env, PGHOST: hostname, PGPORT: port, PGUSER: username, PGPASSWORD: decodeURIComponent(password), PGDATABASE: pathname.slice(1) },
  })
}

/** The process of a role, which may have been started again meanwhile. */
function pidOf(role: keyof State['pids']): number {
  const pid = readState().pids[role]
  if (pid === undefined) throw new Error(`there is no ${role}`)
  return pid
}

/** Has a role of the platform stand still, as if it hung. */
export async function halted(role: keyof State['pids'], meanwhile: () => Promise<void>): Promise<void> {
  const pid = pidOf(role)
  process.kill(pid, 'SIGSTOP')
  try {
    await meanwhile()
  } finally {
    process.kill(pid, 'SIGCONT')
  }
}

/** Ends a role of the platform as a crash does, and waits until it is started again. */
export async function crashed(role: keyof State['pids']): Promise<void> {
  const before = pidOf(role)
  process.kill(before, 'SIGKILL')
  await expect.poll(() => readState().pids[role] ?? before, { timeout: 30_000, intervals: [20] }).not.toBe(before)
}

export const test = base.extend<{ faults: string[] }>({
  baseURL: state.gateway_url,
  faults: [
    async ({ page }, use) => {
      const faults: string[] = []
      page.on('pageerror', (error) => faults.push(error.message))
      page.on('console', (message) => {
        // What the content policy blocks is said only here.
        if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) faults.push(message.text())
      })
      await use(faults)
      expect(faults, 'errors in the page').toEqual([])
    },
    { auto: true },
  ],
})

export { expect }
